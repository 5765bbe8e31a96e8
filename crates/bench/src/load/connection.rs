//! One HTTP/1.1 connection, with nothing between it and hyper.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request as [`Connection::send`] takes it.
pub(crate) type Outgoing = Request<Full<Bytes>>;

/// A keep-alive connection that carries one request at a time.
pub struct Connection {
    requests: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects to the host and port of `url`.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn open(url: &str) -> Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is no URL"))?;
        let authority = uri.authority().with_context(|| format!("{url} names no host"))?;
        let stream = TcpStream::connect(authority.as_str()).await.with_context(|| format!("cannot reach {url}"))?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the sender's half; an error there is the next request's.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { requests })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection is lost; it is then of no further use.
    pub async fn send(&mut self, request: Outgoing) -> Result<(StatusCode, Bytes)> {
        self.requests.ready().await?;
        let answer = self.requests.send_request(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }
}
