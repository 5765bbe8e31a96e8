//! A request as it came over the wire.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

/// Enough for every header of a delivery; a request with more is malformed.
const HEADERS_MAX: usize = 128;

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method, `POST` as a rule.
    pub method: String,
    /// Path and query, as in the request line.
    pub target: String,
    /// Names and values in the order they came, the names in the case they came in.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the body.
    pub body: Bytes,
    /// When its last byte had come.
    pub arrived: Instant,
    /// The same moment by the machine's clock, since the Unix epoch.
    pub unix: Duration,
    /// The number of the connection it came over, from 0.
    pub connection: u64,
}

/// What is wrong with bytes that are no request the receiver understands.
pub(super) struct Malformed;

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of the first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the client asks to close the connection after the answer.
    pub(super) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Takes one request off the front of `buffer`; `None` when it has not come completely.
    ///
    /// Bodies need a `Content-Length`: no sender of deliveries has a reason to stream.
    pub(super) fn take(buffer: &mut BytesMut, connection: u64) -> Result<Option<Self>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head_length) = head.parse(buffer).map_err(|_| Malformed)? else {
            return Ok(None);
        };
        let mut request = Self::from_head(&head, connection);
        let body_length = request.body_length()?;
        if buffer.len() < head_length + body_length {
            return Ok(None);
        }
        buffer.advance(head_length);
        request.body = buffer.split_to(body_length).freeze();
        Ok(Some(request))
    }

    fn from_head(head: &httparse::Request<'_, '_>, connection: u64) -> Self {
        let header = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        Self {
            method: head.method.unwrap_or_default().to_owned(),
            target: head.path.unwrap_or_default().to_owned(),
            headers: head.headers.iter().map(header).collect(),
            body: Bytes::new(),
            arrived: Instant::now(),
            unix: crate::wait::unix_now(),
            connection,
        }
    }

    fn body_length(&self) -> Result<usize, Malformed> {
        if self.header("transfer-encoding").is_some() {
            return Err(Malformed);
        }
        self.header("content-length").map_or(Ok(0), |length| length.parse().map_err(|_| Malformed))
    }
}
