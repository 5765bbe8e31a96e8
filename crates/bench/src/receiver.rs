//! A receiver that keeps up: one thread, keep-alive, every signature verified, every receipt counted and timed.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

mod connection;
mod request;
mod tally;

pub use tally::{Behaviour, Endpoint, Faults, Plan, Receipts, Tally, Targets};

use crate::process;

/// The host whose receivers answer; its own, so that connections that hang are no others'.
const WELL: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The host whose receivers do not.
const UNWELL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connections that may wait to be accepted: a sender opens hundreds at once.
const BACKLOG: u32 = 4096;

/// The running receiver; its thread ends when it is dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    ports: [u16; 2],
    thread: String,
    stop: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<()>>,
}

/// What the receiver's thread shares with the rest of the bench.
struct Shared {
    tally: Mutex<Tally>,
    complete: Notify,
    epoch: Instant,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        micros(self.epoch.elapsed())
    }
}

impl Receiver {
    /// Starts its thread. It answers 404 until it has a [`Plan`].
    ///
    /// # Errors
    /// When 127.0.0.1 or 127.0.0.2 cannot be listened on.
    pub fn start() -> Result<Self> {
        let sockets = [bind(WELL)?, bind(UNWELL)?];
        let mut ports = [0; 2];
        for (port, socket) in ports.iter_mut().zip(&sockets) {
            *port = socket.local_addr()?.port();
        }
        let (tally, complete) = (Mutex::new(Tally::new(Plan::default())), Notify::new());
        let shared = Arc::new(Shared { tally, complete, epoch: Instant::now() });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let of_thread = shared.clone();
        let handle = std::thread::Builder::new().name("receiver".into()).spawn(move || {
            // The other side waits for it.
            let listening = move || drop(tell.send(process::this_thread()));
            serve(sockets, listening, &of_thread, stopped);
        })?;
        let thread = told.recv().context("the receiver's thread did not start")?;
        Ok(Self { shared, ports, thread, stop: Some(stop), handle: Some(handle) })
    }

    /// Where the endpoint of this number is.
    pub fn url(&self, endpoint: usize, behaviour: Behaviour) -> String {
        let well = matches!(behaviour, Behaviour::Answer);
        let (host, port) = if well { (WELL, self.ports[0]) } else { (UNWELL, self.ports[1]) };
        format!("http://{host}:{port}/{endpoint}")
    }

    /// Begins to count anew.
    pub fn expect(&self, plan: Plan) {
        *self.shared.tally() = Tally::new(plan);
    }

    /// Microseconds since this receiver's start: the clock of all its time stamps.
    pub fn now_us(&self) -> u64 {
        self.shared.now_us()
    }

    /// The instant of `now_us`.
    pub fn instant(&self, us: u64) -> Instant {
        self.shared.epoch + Duration::from_micros(us)
    }

    /// CPU microseconds of its thread.
    pub fn cpu_us(&self) -> u64 {
        process::thread_cpu_us(&self.thread)
    }

    /// Looks at the count.
    pub fn look<T>(&self, at: impl FnOnce(&Tally) -> T) -> T {
        at(&self.shared.tally())
    }

    /// Waits until everything that is expected has come, or nothing new has for `patience`; whether it has.
    pub async fn complete(&self, patience: Duration) -> bool {
        let mut seen = 0;
        loop {
            let notified = self.shared.complete.notified();
            let (distinct, complete) = self.look(|tally| (tally.distinct(), tally.is_complete()));
            if complete {
                return true;
            }
            if tokio::time::timeout(patience, notified).await.is_err() && distinct == seen {
                return false;
            }
            seen = distinct;
        }
    }

    /// What has been received so far, and counts no further.
    pub fn take(&self) -> Receipts {
        std::mem::replace(&mut *self.shared.tally(), Tally::new(Plan::default())).into_receipts()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// Whole microseconds of a duration.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn bind(host: Ipv4Addr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((host, 0).into()).with_context(|| format!("cannot listen on {host}"))?;
    Ok(socket)
}

fn serve(sockets: [TcpSocket; 2], listening: impl FnOnce(), shared: &Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has room for one more event loop");
    runtime.block_on(async {
        for socket in sockets {
            let listener = socket.listen(BACKLOG).expect("it is bound");
            tokio::spawn(accept(listener, shared.clone()));
        }
        listening();
        // Ends when the receiver is dropped, which closes the channel.
        let _ = stopped.await;
    });
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection::serve(stream, shared.clone()))),
            // Out of descriptors for a moment: those who connect wait.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

#[cfg(test)]
mod tests;
