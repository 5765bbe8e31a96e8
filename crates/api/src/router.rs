//! The whole of the API as one router, with what holds for every route: a span and an id per request, in
//! the log too, problem documents for whatever goes wrong.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa_swagger_ui::SwaggerUi;

use crate::audit;
use crate::openapi;
use crate::problem::Problem;
use crate::request_id::{self, REQUEST_ID, RandomId};
use crate::state::ApiState;
use crate::trace;

/// The API under `/v1`, its description at `/openapi.json`, and pages that show it at `/docs`.
pub fn router(state: ApiState) -> Router {
    let clock = state.clock.clone();
    let state = Arc::new(state);
    let (api, document) = openapi::parts();
    let api = api.route_layer(middleware::from_fn_with_state(state.clone(), audit::record));
    let api = api.layer(SetResponseHeaderLayer::overriding(CACHE_CONTROL, HeaderValue::from_static("no-store")));
    let around = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(clock.clone(), trace::serve))
        .layer(SetRequestIdLayer::new(REQUEST_ID, RandomId(clock)))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(CatchPanicLayer::custom(after_panic));
    api.with_state(state)
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .fallback(no_such_address)
        .method_not_allowed_fallback(no_such_method)
        .layer(around)
}

fn span(request: &Request) -> tracing::Span {
    let id = request_id::of(request.headers());
    tracing::info_span!("http", method = %request.method(), path = request.uri().path(), request.id = id)
}

async fn no_such_address(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; /docs shows what there is", uri.path()))
}

async fn no_such_method(method: Method) -> Problem {
    Problem::method_not_allowed(&method, None)
}

/// A bug in one handler costs one answer, not the process.
#[expect(clippy::needless_pass_by_value, reason = "the layer calls it so")]
fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = words.unwrap_or("not a text"), "a handler panicked");
    Problem::internal().into_response()
}
