//! One connection that is always being kept up: opened with a timeout, watched, and replaced when it fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use whimbrel_core::port::{Clock, QueueError};

use crate::address::Address;
use crate::backoff::{self, Backoff};
use crate::fault::{Fault, Strikes};

/// How long connecting may take, handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to close in order.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between tries that failed for a lasting reason, so that three of them span a broker's start.
const STRIKE_PAUSE: Duration = Duration::from_millis(700);
/// How often the connection's state is looked at beside its events.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a connection is for. A broker in want of memory blocks those that publish, so there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Publish,
    Consume,
}

/// How a connection stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Never up so far.
    Starting,
    Up(Arc<Link>),
    /// Why.
    Down(String),
    /// It will not be tried again. Why, and what to do.
    Fatal(String),
    Closed,
}

impl State {
    /// Whether waiting changes nothing. A broken link is about to be replaced.
    fn is_decided(&self) -> bool {
        match self {
            Self::Starting | Self::Down(_) => false,
            Self::Up(link) => !link.broken.is_cancelled(),
            Self::Fatal(_) | Self::Closed => true,
        }
    }
}

/// A connection while it lasts.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    /// Of the publishing connection: its one channel, with confirms. To be used under the lock, so that the
    /// order of frames is that of lapin's delivery tags; otherwise a confirm is attributed to another publish.
    pub(crate) publishing: Option<Mutex<Channel>>,
    /// Cancelled when the link is to be replaced, or has been.
    pub(crate) broken: CancellationToken,
    reason: Mutex<Option<String>>,
}

impl Link {
    /// Gives the connection up: the keeper replaces it.
    pub(crate) fn fail(&self, reason: &str) {
        self.reason.lock().expect("never poisoned").get_or_insert_with(|| reason.to_owned());
        self.broken.cancel();
    }

    /// Why it was given up.
    pub(crate) fn reason(&self) -> String {
        self.reason.lock().expect("never poisoned").clone().unwrap_or_else(|| "it was closed".to_owned())
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.connection.fmt(f)
    }
}

/// Holds one connection up in a task of its own, until closed or dropped.
pub(crate) struct Keeper {
    pub(crate) address: Address,
    state: watch::Receiver<State>,
    blocked: watch::Receiver<bool>,
}

impl Keeper {
    /// Starts it. `stop` closes the connection and ends the task.
    pub(crate) fn start(
        purpose: Purpose,
        role: &str,
        address: Address,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let (state, state_seen) = watch::channel(State::Starting);
        let (blocked, blocked_seen) = watch::channel(false);
        let role = role.to_owned();
        let supervisor = Supervisor { purpose, role, address: address.clone(), stop, state, blocked };
        tokio::spawn(supervisor.run(Backoff::new(clock)));
        Self { address, state: state_seen, blocked: blocked_seen }
    }

    /// The connection, waited for as long as it takes. An error when it will never be.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, QueueError> {
        let mut state = self.state.clone();
        match state.wait_for(State::is_decided).await.as_deref() {
            Ok(State::Up(link)) => Ok(link.clone()),
            Ok(State::Fatal(sentence)) => Err(QueueError::Fatal(sentence.clone())),
            _ => Err(QueueError::Closed),
        }
    }

    /// The same, waited for at most so long.
    pub(crate) async fn link_within(&self, patience: Duration) -> Result<Arc<Link>, QueueError> {
        match timeout(patience, self.link()).await {
            Ok(link) => link,
            Err(_) => Err(QueueError::Away(match &*self.state.borrow() {
                State::Down(reason) => reason.clone(),
                _ => format!("no connection to {} yet", self.address),
            })),
        }
    }

    /// Whether there is a connection now.
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(_))
    }

    /// Waits until the first tries have shown whether the broker is reachable and lets us in.
    pub(crate) async fn settled(&self) -> Result<(), QueueError> {
        let mut state = self.state.clone();
        match state.wait_for(|state| !matches!(state, State::Starting)).await.as_deref() {
            Ok(State::Fatal(sentence)) => Err(QueueError::Fatal(sentence.clone())),
            _ => Ok(()),
        }
    }

    /// Waits until the task has closed the connection and ended.
    pub(crate) async fn closed(&self) {
        let mut state = self.state.clone();
        // An error says that the task is gone, which is as good.
        let _ = state.wait_for(|state| matches!(state, State::Closed | State::Fatal(_))).await;
    }

    /// Whether the broker blocks this connection.
    pub(crate) fn blocked(&self) -> watch::Receiver<bool> {
        self.blocked.clone()
    }
}

struct Supervisor {
    purpose: Purpose,
    role: String,
    address: Address,
    stop: CancellationToken,
    state: watch::Sender<State>,
    blocked: watch::Sender<bool>,
}

impl Supervisor {
    async fn run(self, mut backoff: Backoff) {
        let mut strikes = Strikes::default();
        loop {
            let pause = match self.open().await {
                Ok(link) => {
                    strikes.forget();
                    if self.watch(link).await > backoff::LONGEST {
                        backoff.reset();
                    }
                    backoff.pause()
                }
                Err(fault) => {
                    if let QueueError::Fatal(sentence) = strikes.count(&fault) {
                        self.state.send_replace(State::Fatal(sentence));
                        return;
                    }
                    self.failed(&fault);
                    if matches!(fault, Fault::Lasting(_)) { STRIKE_PAUSE } else { backoff.pause() }
                }
            };
            if self.stop.run_until_cancelled(sleep(pause)).await.is_none() {
                self.state.send_replace(State::Closed);
                return;
            }
        }
    }

    async fn open(&self) -> Result<Arc<Link>, Fault> {
        let link = async {
            let connection = open(&self.address, &format!("{} {:?}", self.role, self.purpose).to_lowercase()).await?;
            let publishing = match self.purpose {
                Purpose::Publish => Some(Mutex::new(confirming(&connection).await.map_err(|e| self.fault(&e))?)),
                Purpose::Consume => None,
            };
            let (broken, reason) = (CancellationToken::new(), Mutex::default());
            Ok(Arc::new(Link { connection, publishing, broken, reason }))
        };
        self.stop.run_until_cancelled(link).await.unwrap_or_else(|| Err(Fault::Passing("closing".to_owned())))
    }

    /// Announces the link and stays with it until it fails or is to be closed. How long it lived.
    async fn watch(&self, link: Arc<Link>) -> Duration {
        let (purpose, address, born) = (self.purpose, &self.address, Instant::now());
        info!(?purpose, %address, "connected to the broker");
        self.state.send_replace(State::Up(link.clone()));
        let reason = self.until_broken(&link).await;
        link.fail(&reason);
        self.blocked.send_replace(false);
        if !self.stop.is_cancelled() {
            warn!(?purpose, %address, reason, "lost the broker, connecting again");
            self.state.send_replace(State::Down(format!("the connection to {address} was lost: {reason}")));
        }
        // On a broken connection there may be nobody to answer.
        let _ = timeout(CLOSE_TIMEOUT, link.connection.close(200, "closing".into())).await;
        born.elapsed()
    }

    async fn until_broken(&self, link: &Link) -> String {
        let mut events = std::pin::pin!(link.connection.events_listener());
        let mut look = interval(LOOK_EVERY);
        let mut reason = None;
        loop {
            let status = link.connection.status();
            if !status.connected() {
                return reason.unwrap_or_else(|| link.reason());
            }
            self.set_blocked(status.blocked());
            tokio::select! {
                () = self.stop.cancelled() => return "closing".to_owned(),
                () = link.broken.cancelled() => return link.reason(),
                _ = look.tick() => {}
                event = events.next() => match event {
                    // Of a channel it is none of ours; of the connection the state says so too.
                    Some(Event::Error(error)) => reason = Some(error.to_string()),
                    Some(_) => {}
                    None => return link.reason(),
                },
            }
        }
    }

    fn set_blocked(&self, blocked: bool) {
        if self.blocked.send_if_modified(|was| std::mem::replace(was, blocked) != blocked) {
            let address = &self.address;
            if blocked {
                warn!(%address, "the broker blocks publishers: it lacks memory or disk");
            } else {
                info!(%address, "the broker takes messages again");
            }
        }
    }

    /// One line per change, not per try. While a lasting fault may still turn fatal the state stays `Starting`.
    fn failed(&self, fault: &Fault) {
        let (purpose, reason) = (self.purpose, fault.sentence());
        let starting = matches!(&*self.state.borrow(), State::Starting);
        if starting && matches!(fault, Fault::Passing(_)) {
            warn!(?purpose, reason, "cannot reach the broker, trying again");
        }
        if !starting || matches!(fault, Fault::Passing(_)) {
            self.state.send_replace(State::Down(format!("cannot reach the broker: {reason}")));
        }
    }

    fn fault(&self, error: &lapin::Error) -> Fault {
        Fault::of(error, &self.address)
    }
}

/// Connects, without lapin's recovery.
pub(crate) async fn open(address: &Address, name: &str) -> Result<Connection, Fault> {
    let properties = ConnectionProperties::default().with_connection_name(format!("whimbrel {name}").into());
    match timeout(CONNECT_TIMEOUT, Connection::connect_uri(address.uri(), properties)).await {
        Ok(connected) => connected.map_err(|error| Fault::of(&error, address)),
        Err(_) => Err(Fault::Passing(format!("{address} did not answer within {CONNECT_TIMEOUT:?}"))),
    }
}

async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
