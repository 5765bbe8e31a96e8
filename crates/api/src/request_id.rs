//! Every request has an id, in the answer and in the log: the caller's own `x-request-id` or a new one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use data_encoding::HEXLOWER;
use whimbrel_core::port::Clock;

/// The header.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id; empty when it is no ASCII text.
pub(crate) fn of(headers: &HeaderMap) -> &str {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// The request's id. If it came without one it has 80 random bits in hex from now on.
pub(crate) fn give(headers: &mut HeaderMap, clock: &dyn Clock) -> HeaderValue {
    let new = || HeaderValue::try_from(HEXLOWER.encode(&clock.random10())).expect("hex is text");
    headers.entry(REQUEST_ID).or_insert_with(new).clone()
}
