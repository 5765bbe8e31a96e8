//! The parts of a POST that the receiver looks at.

use anyhow::{Result, bail, ensure};

const HEADERS_MAX: usize = 32;
const BODY_BYTES_MAX: usize = 1 << 20;

/// One whole request at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// The endpoint's number: the path.
    pub(super) endpoint: usize,
    pub(super) id: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) body: &'a [u8],
    /// Bytes of the buffer that belong to it.
    pub(super) length: usize,
}

/// `None` when the request is not all there yet.
pub(super) fn parse(buffer: &[u8]) -> Result<Option<Request<'_>>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(start) = head.parse(buffer)? else { return Ok(None) };
    let path = head.path.unwrap_or_default();
    let Some(endpoint) = path.strip_prefix('/').and_then(|number| number.parse().ok()) else {
        bail!("no endpoint's number in the path {path}")
    };
    let find = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map_or(&b""[..], |header| header.value)
    };
    let body_bytes: usize = std::str::from_utf8(find("content-length"))?.parse()?;
    ensure!(body_bytes <= BODY_BYTES_MAX, "a body of {body_bytes} bytes");
    let length = start + body_bytes;
    Ok(buffer.get(start..length).map(|body| Request {
        endpoint,
        id: find("webhook-id"),
        timestamp: find("webhook-timestamp"),
        signature: find("webhook-signature"),
        body,
        length,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] =
        b"POST /7 HTTP/1.1\r\nHost: h\r\nWebhook-Id: evt_1\r\nwebhook-timestamp: 12\r\nwebhook-signature: v1,x\r\ncontent-length: 2\r\n\r\n{}POST";

    #[test]
    fn a_request_is_taken_when_it_is_whole() {
        let request = parse(WHOLE).expect("well-formed").expect("whole");
        assert_eq!((request.endpoint, request.id, request.timestamp), (7, &b"evt_1"[..], &b"12"[..]));
        assert_eq!((request.signature, request.body, request.length), (&b"v1,x"[..], &b"{}"[..], WHOLE.len() - 4));
        for cut in [0, 10, WHOLE.len() - 6, WHOLE.len() - 5] {
            assert_eq!(parse(&WHOLE[..cut]).expect("well-formed so far"), None, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_request_to_an_endpoint_is_an_error() {
        for bad in ["POST /x HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "POST /1 HTTP/1.1\r\n\r\n", "what?\r\n\r\n"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
