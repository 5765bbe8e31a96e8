//! The operations port of every role: is it alive, can it work, what does it count.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use whimbrel_core::port::{Queue, Store};

/// How long the store and the queue may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the operations port works with.
#[derive(Clone)]
pub struct OpsState {
    /// The store in use.
    pub store: Arc<dyn Store>,
    /// The queue in use.
    pub queue: Arc<dyn Queue>,
    /// Renders the process's metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Whether this process can work.
#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    store: String,
    queue: String,
}

/// `/livez`, `/readyz`, `/metrics`.
pub fn ops_router(state: OpsState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn readyz(State(state): State<OpsState>) -> impl IntoResponse {
    let (store, queue) = tokio::join!(within(state.store.ping()), within(state.queue.ping()));
    let ready = store.is_ok() && queue.is_ok();
    let word = |answer: Result<(), String>| answer.map_or_else(|error| error, |()| "ok".to_owned());
    let readiness = Readiness { status: if ready { "ready" } else { "away" }, store: word(store), queue: word(queue) };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn within<E: std::fmt::Display>(ping: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match tokio::time::timeout(PING_TIMEOUT, ping).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PING_TIMEOUT.as_secs())),
    }
}

async fn metrics(State(state): State<OpsState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], (state.metrics)())
}
