//! Publishing with pipelined confirms in a bounded window.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicPublishOptions;
use lapin::{Channel, Confirmation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use whimbrel_core::port::{Message, Publisher, QueueError};
use whimbrel_core::tier::Tiers;

use crate::connection::{Keeper, Link};
use crate::envelope::Envelope;
use crate::fault::{Fault, Strikes};

/// What may be on its way unconfirmed, in units of [`UNIT_BYTES`] begun; a message takes one at least.
const WINDOW_UNITS: u32 = 1_000;
const UNIT_BYTES: usize = 16 * 1024;
/// What is handed over at once, in the same units.
const CHUNK_UNITS: u32 = 250;
/// How long a publish waits for a connection, or while the broker blocks.
const LINK_PATIENCE: Duration = Duration::from_secs(5);
/// When a confirm has not come by then it is unknown whether it will.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct RabbitPublisher {
    keeper: Arc<Keeper>,
    tiers: Tiers,
    /// Whom events are published as; `None` leaves it open.
    user: Option<String>,
    window: Arc<Semaphore>,
    closing: CancellationToken,
    strikes: Mutex<Strikes>,
}

impl RabbitPublisher {
    pub(crate) fn new(keeper: Arc<Keeper>, tiers: Tiers, user: Option<String>, closing: CancellationToken) -> Self {
        let window = Arc::new(Semaphore::new(WINDOW_UNITS as usize));
        Self { keeper, tiers, user, window, closing, strikes: Mutex::default() }
    }

    /// Waits until nothing is on its way any more.
    pub(crate) async fn idle(&self) {
        let _ = timeout(CONFIRM_TIMEOUT, self.window.acquire_many(WINDOW_UNITS)).await;
    }

    /// Hands a chunk to the connection; the confirms come later.
    async fn hand_over(&self, chunk: Vec<Envelope>, units: u32) -> Result<Pending, QueueError> {
        let room = timeout(CONFIRM_TIMEOUT, self.window.clone().acquire_many_owned(units)).await;
        let permit = room
            .map_err(|_| QueueError::Away(format!("{WINDOW_UNITS} publishes wait for their confirms")))?
            .map_err(|_| QueueError::Closed)?;
        let link = self.open_link().await?;
        let begun = begin(&link, chunk);
        let (done, confirmed) = oneshot::channel();
        // A task of its own: the caller may give up, what is on its way still counts.
        tokio::spawn(settle(begun, link.clone(), permit, done));
        Ok(Pending { link, confirmed })
    }

    /// A connection that is up and not blocked.
    async fn open_link(&self) -> Result<Arc<Link>, QueueError> {
        let mut blocked = self.keeper.blocked();
        let unblocked = timeout(LINK_PATIENCE, blocked.wait_for(|blocked| !blocked)).await.is_ok();
        if !unblocked {
            return Err(QueueError::Away(self.blocked_sentence()));
        }
        self.keeper.link_within(LINK_PATIENCE).await
    }

    async fn confirmed(&self, pending: Pending) -> Result<(), QueueError> {
        let Pending { link, confirmed } = pending;
        match timeout(CONFIRM_TIMEOUT, confirmed).await {
            Ok(Ok(Ok(refused))) if refused > 0 => {
                Err(QueueError::Full(format!("{} has no room for {refused} messages", self.keeper.address)))
            }
            Ok(Ok(Ok(_))) => {
                self.strikes.lock().expect("never poisoned").forget();
                Ok(())
            }
            Ok(Ok(Err(error))) => {
                let fault = Fault::of(&error, &self.keeper.address);
                link.fail(fault.sentence());
                Err(self.strikes.lock().expect("never poisoned").count(&fault))
            }
            Ok(Err(_)) => {
                Err(QueueError::Away(format!("the connection to {} was lost: {}", self.keeper.address, link.reason())))
            }
            // What a blocked connection holds is written later: no reason to give it up.
            Err(_) if *self.keeper.blocked().borrow() => Err(QueueError::Away(self.blocked_sentence())),
            Err(_) => {
                let reason = format!("a confirm did not come within {CONFIRM_TIMEOUT:?}");
                link.fail(&reason);
                Err(QueueError::Away(format!("{reason} from {}", self.keeper.address)))
            }
        }
    }

    fn blocked_sentence(&self) -> String {
        format!("{} blocks publishers: it lacks memory or disk", self.keeper.address)
    }
}

#[async_trait]
impl Publisher for RabbitPublisher {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        if self.closing.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let envelopes = messages.into_iter().map(|message| Envelope::seal(message, &self.tiers, self.user.as_deref()));
        let mut pending = Vec::new();
        for (chunk, units) in chunks(envelopes.collect::<Result<_, _>>()?) {
            pending.push(self.hand_over(chunk, units).await?);
        }
        for chunk in pending {
            self.confirmed(chunk).await?;
        }
        Ok(())
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        self.keeper.blocked()
    }
}

/// A chunk on its way.
struct Pending {
    link: Arc<Link>,
    /// How many were refused. Dropped when the link breaks.
    confirmed: oneshot::Receiver<lapin::Result<usize>>,
}

/// Groups of at most [`CHUNK_UNITS`], unless one message alone is larger, each with its units.
fn chunks(envelopes: Vec<Envelope>) -> Vec<(Vec<Envelope>, u32)> {
    let mut chunks: Vec<(Vec<Envelope>, u32)> = Vec::new();
    for envelope in envelopes {
        let cost = u32::try_from(1 + envelope.payload.len() / UNIT_BYTES).unwrap_or(u32::MAX).min(WINDOW_UNITS);
        match chunks.last_mut() {
            Some((chunk, units)) if *units + cost <= CHUNK_UNITS => {
                chunk.push(envelope);
                *units += cost;
            }
            _ => chunks.push((vec![envelope], cost)),
        }
    }
    chunks
}

type Begun = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// Queues the frames of every message, in order. lapin numbers and queues a publish when it is first polled, so
/// that is done here, under the channel's lock, and not when somebody comes to wait for the confirm.
fn begin(link: &Link, chunk: Vec<Envelope>) -> Vec<lapin::Result<Begun>> {
    let channel = link.publishing.as_ref().expect("made for publishing").lock().expect("never poisoned");
    let mut nobody = Context::from_waker(Waker::noop());
    let begin = |envelope| {
        let mut publishing: Begun = Box::pin(publish(channel.clone(), envelope));
        match publishing.as_mut().poll(&mut nobody) {
            Poll::Pending => Ok(publishing),
            Poll::Ready(Ok(confirmation)) => Ok(Box::pin(async { Ok(confirmation) }) as Begun),
            Poll::Ready(Err(error)) => Err(error),
        }
    };
    chunk.into_iter().map(begin).collect()
}

async fn publish(channel: Channel, envelope: Envelope) -> lapin::Result<Confirmation> {
    let Envelope { exchange, key, properties, payload } = envelope;
    // Not mandatory: see the crate's documentation.
    let options = BasicPublishOptions::default();
    channel.basic_publish(exchange.into(), key, options, &payload, properties).await?.await
}

/// Waits for every confirm, or for the end of the link.
async fn settle(
    begun: Vec<lapin::Result<Begun>>,
    link: Arc<Link>,
    permit: OwnedSemaphorePermit,
    done: oneshot::Sender<lapin::Result<usize>>,
) {
    let confirms = async {
        let mut refused = 0;
        for publishing in begun {
            refused += usize::from(publishing?.await?.is_nack());
        }
        Ok(refused)
    };
    if let Some(result) = link.broken.run_until_cancelled(confirms).await {
        // Nobody there: the caller gave up.
        let _ = done.send(result);
    }
    drop(permit);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lapin::BasicProperties;

    use super::*;

    fn envelope(bytes: usize) -> Envelope {
        let payload = Bytes::from(vec![0; bytes]);
        Envelope { exchange: "e", key: "k".into(), properties: BasicProperties::default(), payload }
    }

    #[test]
    fn chunks_are_bounded_in_messages_and_bytes() {
        let sizes = |bytes, count| {
            let chunks = chunks((0..count).map(|_| envelope(bytes)).collect());
            chunks.into_iter().map(|(chunk, units)| (chunk.len(), units)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(100, 600), [(250, 250), (250, 250), (100, 100)]);
        assert_eq!(sizes(256 * 1024, 30), [(14, 238), (14, 238), (2, 34)]);
        assert_eq!(sizes(64 * 1024 * 1024, 1), [(1, 1_000)]);
        assert_eq!(sizes(1, 0), []);
    }
}
