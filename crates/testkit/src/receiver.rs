//! An HTTP receiver that follows a script and remembers every byte it was sent.

mod connection;
mod request;
mod script;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use request::Request;
pub use script::Step;

use connection::Connection;
use script::Script;

/// An HTTP/1.1 receiver on 127.0.0.1, gone when dropped.
///
/// It answers 200 with an empty body unless its script says otherwise. It parses HTTP itself, because a server
/// library would lower the names of headers and would not misbehave when told to.
pub struct Receiver {
    address: SocketAddr,
    certificate: Option<CertificateDer<'static>>,
    state: Arc<State>,
    acceptor: JoinHandle<()>,
}

/// What all connections share.
pub(crate) struct State {
    requests: Mutex<Vec<Arc<Request>>>,
    count: watch::Sender<usize>,
    scripts: Mutex<HashMap<String, Script>>,
    fallback: Mutex<Script>,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

impl Receiver {
    /// Starts one that speaks plain HTTP.
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start() -> Result<Self> {
        Self::launch(None).await
    }

    /// Starts one that speaks HTTPS, with a fresh certificate for `localhost` that it signed itself.
    ///
    /// # Errors
    /// When no port can be opened or no certificate made.
    pub async fn start_tls() -> Result<Self> {
        Self::launch(Some(self_signed()?)).await
    }

    /// The URL of `path` (which begins with a slash) on this receiver.
    pub fn url(&self, path: &str) -> String {
        match self.certificate {
            None => format!("http://{}{path}", self.address),
            Some(_) => format!("https://localhost:{}{path}", self.address.port()),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate a client must trust to call [`Receiver::start_tls`]'s URLs.
    pub fn certificate_der(&self) -> Option<&[u8]> {
        self.certificate.as_ref().map(AsRef::as_ref)
    }

    /// Answers requests to `path` (without its query) with `steps` in order, and with the last of them ever after.
    pub fn on(&self, path: &str, steps: impl IntoIterator<Item = Step>) {
        let script = Script::new(steps);
        self.state.scripts.lock().expect("never poisoned").insert(path.to_owned(), script);
    }

    /// As [`Receiver::on`], for the requests to all paths that have no script of their own, counted together.
    pub fn otherwise(&self, steps: impl IntoIterator<Item = Step>) {
        *self.state.fallback.lock().expect("never poisoned") = Script::new(steps);
    }

    /// Every request that has come in completely, oldest first.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.state.requests.lock().expect("never poisoned").clone()
    }

    /// How many have come in.
    pub fn count(&self) -> usize {
        *self.state.count.borrow()
    }

    /// The most requests that were ever being answered at the same time.
    pub fn in_flight_max(&self) -> usize {
        self.state.in_flight_max.load(Ordering::Relaxed)
    }

    /// Waits until at least `count` requests have come in, and gives all there are.
    ///
    /// # Errors
    /// When `timeout` passes first; the message lists what came.
    pub async fn wait_for(&self, count: usize, timeout: Duration) -> Result<Vec<Arc<Request>>> {
        let wanted = format!("{count} requests");
        self.wait(&wanted, timeout, |requests| requests.len() >= count).await
    }

    /// Waits until `condition` holds for the requests so far, and gives them. It is asked after each arrival.
    ///
    /// # Errors
    /// When `timeout` passes first; the message lists what came.
    pub async fn wait_until(
        &self,
        condition: impl Fn(&[Arc<Request>]) -> bool,
        timeout: Duration,
    ) -> Result<Vec<Arc<Request>>> {
        self.wait("the requests waited for", timeout, condition).await
    }

    async fn wait(
        &self,
        wanted: &str,
        timeout: Duration,
        condition: impl Fn(&[Arc<Request>]) -> bool,
    ) -> Result<Vec<Arc<Request>>> {
        let mut count = self.state.count.subscribe();
        let holds = |_: &usize| condition(&self.state.requests.lock().expect("never poisoned"));
        match tokio::time::timeout(timeout, count.wait_for(holds)).await {
            Ok(_) => Ok(self.requests()),
            Err(_) => Err(anyhow!("{wanted} did not come within {timeout:?}, only {}", self.summary())),
        }
    }

    fn summary(&self) -> String {
        let requests = self.requests();
        let lines: Vec<_> =
            requests.iter().rev().take(20).map(|request| format!("{} {}", request.method, request.target)).collect();
        format!("{} (newest first): {}", requests.len(), lines.join(", "))
    }

    async fn launch(tls: Option<(TlsAcceptor, CertificateDer<'static>)>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver cannot open a port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new());
        let (acceptor, certificate) = tls.unzip();
        let acceptor = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Ok(Self { address, certificate, state, acceptor })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl State {
    fn new() -> Self {
        let answer = || Script::new([Step::status(200)]);
        Self {
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            scripts: Mutex::default(),
            fallback: Mutex::new(answer()),
            in_flight: AtomicUsize::new(0),
            in_flight_max: AtomicUsize::new(0),
        }
    }

    /// Remembers a request and tells what to do about it.
    fn record(&self, request: Request) -> Step {
        let step = self.next_step(request.path());
        let mut requests = self.requests.lock().expect("never poisoned");
        requests.push(Arc::new(request));
        let count = requests.len();
        drop(requests);
        // Two connections may get here in the other order: the count never goes back.
        self.count.send_modify(|known| *known = count.max(*known));
        step
    }

    fn next_step(&self, path: &str) -> Step {
        let mut scripts = self.scripts.lock().expect("never poisoned");
        match scripts.get_mut(path) {
            Some(script) => script.next_step(),
            None => self.fallback.lock().expect("never poisoned").next_step(),
        }
    }

    fn enter(&self) {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_max.fetch_max(now, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves connections until aborted, which ends them all.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => Connection::new(stream, number, state).serve().await,
                Some(tls) => {
                    // A client that refuses the certificate ends the handshake: then there is nothing to serve.
                    if let Ok(stream) = tls.accept(stream).await {
                        Connection::new(stream, number, state).serve().await;
                    }
                }
            }
        });
    }
}

fn self_signed() -> Result<(TlsAcceptor, CertificateDer<'static>)> {
    crate::http::install_tls();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|reason| anyhow!(reason))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key)?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate))
}

#[cfg(test)]
mod tests;
