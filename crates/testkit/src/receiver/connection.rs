//! One connection of the receiver: reads requests and carries out the steps they meet.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{interval, sleep};

use super::request::Request;
use super::{State, Step};

const CHUNK_BYTES: usize = 64 * 1024;

pub(super) struct Connection<S> {
    stream: S,
    number: u64,
    buffer: BytesMut,
    state: Arc<State>,
}

/// Counts a request as in flight while it lives, also when its connection is aborted.
struct InFlight<'a>(&'a State);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, number: u64, state: Arc<State>) -> Self {
        Self { stream, number, buffer: BytesMut::with_capacity(8 * 1024), state }
    }

    /// Answers requests until either side closes the connection.
    pub(super) async fn serve(mut self) {
        // An error means that the client went away, which is its right.
        let _ = self.serve_all().await;
        let _ = self.stream.shutdown().await;
    }

    async fn serve_all(&mut self) -> io::Result<()> {
        while let Some(request) = self.next_request().await? {
            let closes = request.closes();
            let state = Arc::clone(&self.state);
            let _in_flight = InFlight::enter(&state);
            let step = state.record(request);
            if !self.carry_out(step).await? || closes {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn next_request(&mut self) -> io::Result<Option<Request>> {
        loop {
            let Ok(taken) = Request::take(&mut self.buffer, self.number) else {
                self.respond(400, &[], b"the receiver does not understand this request").await?;
                return Ok(None);
            };
            if taken.is_some() {
                return Ok(taken);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Tells whether the connection can serve another request.
    async fn carry_out(&mut self, mut step: Step) -> io::Result<bool> {
        while let Step::Delay(delay, then) = step {
            self.unless_closed(sleep(delay)).await?;
            step = *then;
        }
        match step {
            Step::Respond { status, headers, body } => self.respond(status, &headers, &body).await.map(|()| true),
            Step::Redirect(to) => self.respond(302, &[("Location".to_owned(), to)], b"").await.map(|()| true),
            Step::Hang => self.unless_closed(std::future::pending()).await,
            Step::CloseConnection => Ok(false),
            Step::DripBody { status, every } => self.drip(status, every).await,
            Step::HugeBody { status, bytes } => self.pour(status, bytes).await.map(|()| true),
            Step::Raw(bytes) => self.stream.write_all(&bytes).await.map(|()| false),
            Step::Delay(..) => unreachable!("delays were taken off above"),
        }
    }

    async fn respond(&mut self, status: u16, headers: &[(String, String)], body: &[u8]) -> io::Result<()> {
        let mut message = head(status);
        for (name, value) in headers {
            let _ = write!(message, "{name}: {value}\r\n");
        }
        // These two have no body, and must not speak of one.
        if !matches!(status, 204 | 304) {
            let _ = write!(message, "Content-Length: {}\r\n", body.len());
        }
        message.push_str("\r\n");
        let mut message = message.into_bytes();
        message.extend_from_slice(body);
        self.stream.write_all(&message).await?;
        self.stream.flush().await
    }

    async fn drip(&mut self, status: u16, every: Duration) -> io::Result<bool> {
        let head = format!("{}Content-Length: {}\r\n\r\n", head(status), u32::MAX);
        self.stream.write_all(head.as_bytes()).await?;
        let mut ticks = interval(every);
        loop {
            self.unless_closed(ticks.tick()).await?;
            self.stream.write_all(b".").await?;
            self.stream.flush().await?;
        }
    }

    async fn pour(&mut self, status: u16, bytes: u64) -> io::Result<()> {
        let head = format!("{}Content-Length: {bytes}\r\n\r\n", head(status));
        self.stream.write_all(head.as_bytes()).await?;
        let mut zeroes = tokio::io::repeat(0).take(bytes);
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        while zeroes.read_buf(&mut chunk).await? > 0 {
            self.stream.write_all_buf(&mut chunk).await?;
            chunk.clear();
        }
        self.stream.flush().await
    }

    /// Waits for `moment`, or fails when the client closes the connection first.
    async fn unless_closed<T>(&mut self, moment: impl Future<Output = T>) -> io::Result<T> {
        tokio::pin!(moment);
        loop {
            tokio::select! {
                done = &mut moment => return Ok(done),
                read = self.stream.read_buf(&mut self.buffer) => if read? == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                },
            }
        }
    }
}

impl<'a> InFlight<'a> {
    fn enter(state: &'a State) -> Self {
        state.enter();
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The status line. Its reason is left empty, as HTTP/1.1 permits: nothing may depend on it.
fn head(status: u16) -> String {
    format!("HTTP/1.1 {status} \r\n")
}
