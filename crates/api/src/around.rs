//! What holds for every request, whatever its route: a trace, an id, a line's span in the log, an entry in the audit log
//! for a change, an answer even after a panic. One layer for all of it: each layer of a router is cloned and put on the
//! heap for every request, and events come by the thousand.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::problem::Problem;
use crate::request_id::{self, REQUEST_ID};
use crate::state::SharedState;
use crate::{audit, trace};

/// Nothing that is answered here may be served from a cache.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Serves a request. To the handlers it seems to come from its span, so that what they publish goes on from it.
pub(crate) async fn serve(State(state): State<SharedState>, mut request: Request, next: Next) -> Response {
    let traced = trace::begin(&mut request, &*state.clock);
    let id = request_id::give(request.headers_mut(), &*state.clock);
    let mut response = answer(&state, request, next).await;
    response.headers_mut().entry(REQUEST_ID).or_insert(id);
    response.headers_mut().entry(CACHE_CONTROL).or_insert(NO_STORE);
    if let Some(traced) = traced {
        traced.answered(response.status(), state.clock.now());
    }
    response
}

async fn answer(state: &SharedState, request: Request, next: Next) -> Response {
    let (span, begun) = (span(&request), Instant::now());
    let work = async {
        let answered = AssertUnwindSafe(handle(state, request, next)).catch_unwind().await;
        let response = answered.unwrap_or_else(|panic| after_panic(&*panic));
        tracing::debug!(status = response.status().as_u16(), took = ?begun.elapsed(), "answered");
        response
    };
    work.instrument(span).await
}

async fn handle(state: &SharedState, request: Request, next: Next) -> Response {
    match audit::recorded_route(&request) {
        // On the heap: most requests change nothing that is recorded.
        Some(route) => Box::pin(audit::record(state.clone(), route, request, next)).await,
        None => next.run(request).await,
    }
}

fn span(request: &Request) -> Span {
    let id = request_id::of(request.headers());
    tracing::info_span!("http", method = %request.method(), path = request.uri().path(), request.id = id)
}

/// A bug in one handler costs one answer, not the process.
fn after_panic(panic: &(dyn Any + Send)) -> Response {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = words.unwrap_or("not a text"), "a handler panicked");
    Problem::internal().into_response()
}
