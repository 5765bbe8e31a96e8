//! Every request has an id, in the answer and in the log: the caller's own `x-request-id` or a new one.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use data_encoding::HEXLOWER;
use tower_http::request_id::{MakeRequestId, RequestId};
use whimbrel_core::port::Clock;

/// The header.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The request's id; empty when it is no ASCII text.
pub(crate) fn of(headers: &HeaderMap) -> &str {
    headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

/// Makes request ids: 80 random bits in hex.
#[derive(Clone)]
pub(crate) struct RandomId(pub(crate) Arc<dyn Clock>);

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(HEXLOWER.encode(&self.0.random10())).ok().map(RequestId::new)
    }
}
