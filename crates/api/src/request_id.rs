//! Every request has an id, in the answer and in the log: the caller's own `x-request-id` or a new one.

use std::sync::Arc;

use axum::http::{HeaderValue, Request};
use data_encoding::HEXLOWER;
use tower_http::request_id::{MakeRequestId, RequestId};
use whimbrel_core::port::Clock;

/// Makes request ids: 80 random bits in hex.
#[derive(Clone)]
pub(crate) struct RandomId(pub(crate) Arc<dyn Clock>);

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(HEXLOWER.encode(&self.0.random10())).ok().map(RequestId::new)
    }
}
