//! A TCP proxy that breaks connections on request.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Stands on 127.0.0.1 in front of another address and forwards what its mode lets through; gone when dropped.
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    acceptor: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct State {
    mode: Mode,
    /// How often [`FaultProxy::cut`] was called: a connection ends when it rises.
    cuts: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    Refuse,
    Stall,
    Delay(Duration),
}

impl FaultProxy {
    /// Starts one in front of `upstream` (`host:port`), in the mode of [`FaultProxy::pass`].
    ///
    /// # Errors
    /// When no port can be opened.
    pub async fn start(upstream: impl Into<String>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the proxy cannot open a port")?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State { mode: Mode::Pass, cuts: 0 });
        let acceptor = tokio::spawn(accept(listener, upstream.into(), state.subscribe()));
        Ok(Self { address, state, acceptor })
    }

    /// Starts one in front of the server that `url` names.
    ///
    /// # Errors
    /// When the URL names no host and port, or no port can be opened.
    pub async fn before(url: &str) -> Result<Self> {
        let parsed: reqwest::Url = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        let host = parsed.host_str().with_context(|| format!("{url:?} names no host"))?;
        let port = parsed.port_or_known_default().with_context(|| format!("{url:?} names no port"))?;
        Self::start(format!("{host}:{port}")).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with this proxy's host and port in place of its own.
    ///
    /// # Errors
    /// When `url` is no URL with a host.
    pub fn url(&self, url: &str) -> Result<String> {
        let mut url: reqwest::Url = url.parse()?;
        url.set_host(Some(&self.address.ip().to_string()))?;
        url.set_port(Some(self.address.port())).ok().context("the URL takes no port")?;
        Ok(url.into())
    }

    /// Forwards everything, beginning with what a stall held back.
    pub fn pass(&self) {
        self.set(Mode::Pass);
    }

    /// Closes every new connection at once; those that stand are forwarded.
    pub fn refuse(&self) {
        self.set(Mode::Refuse);
    }

    /// Forwards nothing in either direction, but keeps connections open and accepts new ones.
    pub fn stall(&self) {
        self.set(Mode::Stall);
    }

    /// Forwards every piece of data after this time, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.set(Mode::Delay(delay));
    }

    /// Closes all connections that stand; the mode, and so the fate of new ones, stays.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Carries connections until aborted, which closes them all.
async fn accept(listener: TcpListener, upstream: String, state: watch::Receiver<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let State { mode, cuts } = *state.borrow();
        if mode != Mode::Refuse {
            connections.spawn(carry(client, upstream.clone(), state.clone(), cuts));
        }
    }
}

async fn carry(client: TcpStream, upstream: String, mut state: watch::Receiver<State>, cuts: u64) {
    let forwarding = forward(client, &upstream, state.clone());
    tokio::select! {
        // However it ends, both ends are closed now.
        _ = forwarding => {}
        _ = state.wait_for(|state| state.cuts != cuts) => {}
    }
}

fn forward(client: TcpStream, upstream: &str, state: watch::Receiver<State>) -> impl Future<Output = io::Result<()>> {
    let connecting = TcpStream::connect(upstream.to_owned());
    async move {
        let upstream = connecting.await?;
        upstream.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_upstream, to_upstream) = upstream.into_split();
        let there = pump(from_client, to_upstream, state.clone());
        let back = pump(from_upstream, to_client, state);
        tokio::try_join!(there, back).map(drop)
    }
}

/// Copies until the end of the stream, as the mode permits, and hands that end on.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let mode = match state.wait_for(|state| state.mode != Mode::Stall).await {
            Ok(state) => state.mode,
            Err(_) => return Ok(()),
        };
        if let Mode::Delay(delay) = mode {
            sleep(delay).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, timeout};

    use super::*;

    const A_WHILE: Duration = Duration::from_millis(100);
    const SOON: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets.
    async fn echo() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = io::copy(&mut from, &mut to).await;
                });
            }
        });
        Ok(address)
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map(drop)
    }

    async fn proxied() -> Result<(FaultProxy, TcpStream)> {
        let proxy = FaultProxy::start(echo().await?.to_string()).await?;
        let mut stream = TcpStream::connect(proxy.address()).await?;
        ask(&mut stream).await?;
        Ok((proxy, stream))
    }

    #[tokio::test]
    async fn cut_ends_what_stands_and_lets_new_ones_in() -> Result<()> {
        let (proxy, mut stream) = proxied().await?;
        proxy.cut();
        assert!(timeout(SOON, ask(&mut stream)).await?.is_err());
        ask(&mut TcpStream::connect(proxy.address()).await?).await?;
        Ok(())
    }

    #[tokio::test]
    async fn refuse_closes_new_ones_and_keeps_what_stands() -> Result<()> {
        let (proxy, mut stream) = proxied().await?;
        proxy.refuse();
        let mut refused = TcpStream::connect(proxy.address()).await?;
        assert!(timeout(SOON, ask(&mut refused)).await?.is_err());
        ask(&mut stream).await?;
        proxy.pass();
        ask(&mut TcpStream::connect(proxy.address()).await?).await?;
        Ok(())
    }

    #[tokio::test]
    async fn stall_holds_data_back_until_it_passes_again() -> Result<()> {
        let (proxy, mut stream) = proxied().await?;
        proxy.stall();
        stream.write_all(b"held").await?;
        let mut answer = [0; 4];
        assert!(timeout(A_WHILE, stream.read_exact(&mut answer)).await.is_err());
        proxy.pass();
        timeout(SOON, stream.read_exact(&mut answer)).await??;
        assert_eq!(&answer, b"held");
        Ok(())
    }

    #[tokio::test]
    async fn a_stalled_connection_can_be_cut() -> Result<()> {
        let (proxy, mut stream) = proxied().await?;
        proxy.stall();
        stream.write_all(b"lost").await?;
        proxy.cut();
        assert_eq!(timeout(SOON, stream.read(&mut [0; 4])).await?.unwrap_or(0), 0);
        Ok(())
    }

    #[tokio::test]
    async fn delay_slows_both_directions() -> Result<()> {
        let (proxy, mut stream) = proxied().await?;
        proxy.delay(A_WHILE);
        let start = Instant::now();
        ask(&mut stream).await?;
        assert!(start.elapsed() >= A_WHILE * 2);
        Ok(())
    }

    #[tokio::test]
    async fn urls_are_redirected_through_it() -> Result<()> {
        let upstream = echo().await?;
        let proxy = FaultProxy::before(&format!("amqp://u:p@{upstream}/vhost")).await?;
        let url = proxy.url(&format!("amqp://u:p@{upstream}/vhost?heartbeat=5"))?;
        assert_eq!(url, format!("amqp://u:p@{}/vhost?heartbeat=5", proxy.address()));
        ask(&mut TcpStream::connect(proxy.address()).await?).await?;
        Ok(())
    }
}
