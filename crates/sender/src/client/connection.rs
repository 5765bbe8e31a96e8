//! One connection, and the answer that comes over it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};

use super::Outgoing;
use super::connect::Stream;
use super::destination::Server;
use super::pool::Pool;
use crate::failure::Failure;

/// The longest head of an answer, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// A keep-alive connection that carries one request at a time. It makes progress only while it is awaited.
pub(super) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    wire: Wire,
}

/// The connection's side of hyper.
struct Wire {
    connection: http1::Connection<Stream, Full<Bytes>>,
    ended: bool,
}

/// Why a request has no answer.
pub(super) enum Unsent {
    /// None of it was written.
    Whole(Box<Outgoing>),
    /// Some of it may have arrived.
    Lost(hyper::Error),
}

impl Connection {
    pub(super) async fn open(stream: Stream) -> Result<Box<Self>, Failure> {
        let handshake = http1::Builder::new().max_buf_size(HEAD_MAX).handshake(stream).await;
        let (requests, connection) = handshake.map_err(|error| Failure::exchange(&error))?;
        Ok(Box::new(Self { requests, wire: Wire { connection, ended: false } }))
    }

    pub(super) async fn send(&mut self, request: Outgoing) -> Result<Response<Incoming>, Unsent> {
        let sent = self.requests.try_send_request(request);
        let answer = self.wire.drive(sent).await;
        answer.map_err(|mut error| match error.take_message() {
            Some(request) => Unsent::Whole(Box::new(request)),
            None => Unsent::Lost(error.into_error()),
        })
    }

    /// Whether the receiver has not closed it since it was last used.
    pub(super) fn is_open(&mut self) -> bool {
        self.wire.progress(&mut Context::from_waker(Waker::noop()));
        !self.wire.ended && !self.requests.is_closed()
    }
}

impl Wire {
    /// Reads and writes while `answer` is awaited.
    async fn drive<A: Future>(&mut self, answer: A) -> A::Output {
        let mut answer = pin!(answer);
        std::future::poll_fn(|context| {
            self.progress(context);
            answer.as_mut().poll(context)
        })
        .await
    }

    fn progress(&mut self, context: &mut Context<'_>) {
        // What went wrong with it is told to whoever awaits the answer.
        self.ended = self.ended || Pin::new(&mut self.connection).poll(context).is_ready();
    }
}

/// An answer's head; its body is still to come.
pub(crate) struct Answer<'a> {
    response: Response<Incoming>,
    connection: Box<Connection>,
    server: Server,
    pool: &'a Pool,
}

impl<'a> Answer<'a> {
    pub(super) fn new(
        connection: Box<Connection>,
        response: Response<Incoming>,
        server: Server,
        pool: &'a Pool,
    ) -> Self {
        Self { response, connection, server, pool }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The first bytes of the body, so many at most, into `captured`. A connection whose answer was read to its end is
    /// kept for the next POST; dropped before, it is closed.
    pub(crate) async fn capture(mut self, bytes_max: usize, captured: &mut BytesMut) {
        let lasts = lasts(self.response.headers());
        let mut body = pin!(self.response.into_body());
        let mut ended = body.is_end_stream();
        while !ended && captured.len() < bytes_max {
            ended = match self.connection.wire.drive(body.frame()).await {
                Some(Ok(frame)) => {
                    let chunk = frame.into_data().unwrap_or_default();
                    captured.extend_from_slice(&chunk[..chunk.len().min(bytes_max - captured.len())]);
                    body.is_end_stream()
                }
                Some(Err(_)) => return,
                None => true,
            };
        }
        if ended && self.connection.is_open() {
            self.pool.put(self.server, self.connection, lasts);
        }
    }
}

/// How long the receiver says that it keeps an idle connection (`Keep-Alive: timeout=5`, in seconds).
fn lasts(headers: &HeaderMap) -> Option<Duration> {
    let parameters = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}
