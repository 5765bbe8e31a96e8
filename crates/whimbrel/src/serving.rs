//! Serving HTTP/1.1, with bounds on what a client can hold by sending nothing.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::{debug, warn};

/// How long open connections may take to finish once the process is stopping.
const DRAIN: Duration = Duration::from_secs(5);

/// Connections that may wait to be accepted, as far as the system lets them (`net.core.somaxconn`). With the 128 that
/// listeners usually have, whoever comes in a burst behind them tries again after a second.
const BACKLOG: u32 = 4096;

/// How much a client can hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Until a request's head is there, from the connection's beginning or its last answer on: so long an idle connection
    /// is kept, too.
    pub(crate) head: Duration,
    /// Connections at a time; others wait to be accepted.
    pub(crate) connections: usize,
}

impl Default for Bounds {
    /// Longer than balancers keep an idle connection to what is behind them (60 s with the common ones), so that none is
    /// closed here while they begin a request on it.
    fn default() -> Self {
        Self { head: Duration::from_secs(75), connections: 16 * 1024 }
    }
}

/// A listener on this address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // After a restart, connections of the process before may still be closing.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until the stop; then waits for requests under way, for a while. Each request goes to the routes that `routes`
/// gives at its beginning.
pub(crate) async fn serve_until<R>(listener: TcpListener, routes: R, bounds: Bounds, stop: CancellationToken)
where
    R: Fn() -> Router + Clone + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let (open, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(bounds.connections)));
    while let Some((stream, place)) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let routes = routes.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| routes().call(request.map(Body::new)));
        // On the heap, for the task below would hold it twice.
        let connection = Box::pin(open.watch(builder.serve_connection(TokioIo::new(stream), service)));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are whole when they are written: to wait for more only delays them.
                let _ = stream.set_nodelay(true);
                return (stream, place);
            }
            // That client has gone again.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                warn!(%error, "no connection can be accepted; are there too many open files?");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::{JoinHandle, JoinSet};

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);
    const NEVER: Duration = Duration::from_mins(10);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        served: JoinHandle<()>,
    }

    impl Server {
        fn start(router: Router, bounds: Bounds) -> Self {
            let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
            let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
            let served = tokio::spawn(serve_until(listener, move || router.clone(), bounds, stop.clone()));
            Self { address, stop, served }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.expect("a connection")
        }
    }

    #[tokio::test]
    async fn a_burst_of_clients_waits_to_be_accepted() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut open = Vec::new();
        // Nobody accepts: those that find no room would try for minutes.
        let burst = async {
            let mut connecting: JoinSet<_> = (0..300).map(|_| TcpStream::connect(address)).collect();
            while let Some(connected) = connecting.join_next().await {
                open.push(connected.expect("no panic").expect("a connection"));
            }
        };
        tokio::time::timeout(Duration::from_secs(20), burst).await.expect("room for all");
    }

    fn hello() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    /// What comes until the server closes.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(Duration::from_secs(30), read).await.expect("it is closed").expect("it can be read");
        text
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_and_an_idle_connection_are_cut() {
        let server = Server::start(hello(), Bounds { head: SHORT, connections: 8 });
        let (mut silent, mut slow, mut idle) = (server.connect().await, server.connect().await, server.connect().await);
        slow.write_all(&REQUEST[..20]).await.expect("half a head");
        idle.write_all(REQUEST).await.expect("a request");
        assert_eq!(rest(&mut silent).await, "");
        assert!(!rest(&mut slow).await.contains("hello"));
        assert!(rest(&mut idle).await.ends_with("hello"), "answered, and then closed");
    }

    #[tokio::test]
    async fn who_finds_no_place_waits_for_one() {
        let server = Server::start(hello(), Bounds { head: NEVER, connections: 1 });
        let first = server.connect().await;
        let mut second = server.connect().await;
        second.write_all(REQUEST).await.expect("a request");
        let mut byte = [0];
        assert!(tokio::time::timeout(SHORT, second.read(&mut byte)).await.is_err(), "the first has the place");
        drop(first);
        second.read_exact(&mut byte).await.expect("an answer");
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_after_the_stop() {
        let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, awaited) = (begun.clone(), go_on.clone());
        let answer = move || async move {
            told.notify_one();
            awaited.notified().await;
            "done"
        };
        let server = Server::start(Router::new().route("/", get(answer)), Bounds::default());
        let (mut busy, mut idle) = (server.connect().await, server.connect().await);
        busy.write_all(REQUEST).await.expect("a request");
        begun.notified().await;
        server.stop.cancel();
        assert_eq!(rest(&mut idle).await, "", "nothing is under way there");
        go_on.notify_one();
        assert!(rest(&mut busy).await.ends_with("done"));
        server.served.await.expect("it ends");
        TcpStream::connect(server.address).await.expect_err("nobody listens");
    }
}
