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
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Clock, Queue, Store, StoreError};

/// How long the store and the queue may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How far the process's clock and the store's may lie apart without a warning.
const SKEW_MAX_MS: u64 = 2_000;
/// Prometheus' text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the operations port works with.
#[derive(Clone)]
pub struct OpsState {
    /// The store in use.
    pub store: Arc<dyn Store>,
    /// The queue in use.
    pub queue: Arc<dyn Queue>,
    /// The process's clock, which is compared with the store's.
    pub clock: Arc<dyn Clock>,
    /// Renders the process's metrics as Prometheus text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Whether this process can work: `ok` per check, or what is wrong with it.
#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    store: String,
    queue: String,
    /// How far the store's clock lies ahead of the process's, when that is more than two seconds. A warning: leases,
    /// retries and the order of events depend on clocks that agree, so look after NTP on both machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_skew_ms: Option<i64>,
}

/// `/livez`, `/readyz`, `/metrics`.
///
/// `/readyz` answers 200 while the store and the queue answer within two seconds, else 503, and names each. It also
/// compares the clocks of process and store: the difference is the gauge `whimbrel_clock_skew_seconds`, and beyond two
/// seconds `clock_skew_ms` in the answer, which stays 200.
pub fn ops_router(state: OpsState) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn readyz(State(state): State<OpsState>) -> impl IntoResponse {
    let (store, queue) = tokio::join!(within(skew(&state)), within(state.queue.ping()));
    let ready = store.is_ok() && queue.is_ok();
    let readiness = Readiness {
        status: if ready { "ready" } else { "away" },
        clock_skew_ms: store.as_ref().ok().copied().filter(|ms| ms.unsigned_abs() > SKEW_MAX_MS),
        store: word(store),
        queue: word(queue),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

fn word<T>(answer: Result<T, String>) -> String {
    answer.map_or_else(|error| error, |_| "ok".to_owned())
}

/// How far the store's clock lies ahead of the process's, in milliseconds; a metric as well.
async fn skew(state: &OpsState) -> Result<i64, StoreError> {
    let asked = state.clock.now();
    let told = state.store.ping().await?;
    let ms = ahead_ms(asked, told, state.clock.now());
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("whimbrel_clock_skew_seconds").set(ms as f64 / 1_000.0);
    Ok(ms)
}

/// The store is taken to have read its clock halfway between question and answer.
fn ahead_ms(asked: Timestamp, told: Timestamp, answered: Timestamp) -> i64 {
    let halfway = asked + answered.since(asked) / 2;
    told.as_millis().saturating_sub(halfway.as_millis())
}

async fn within<T, E: std::fmt::Display>(ping: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(PING_TIMEOUT, ping).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PING_TIMEOUT.as_secs())),
    }
}

async fn metrics(State(state): State<OpsState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, PROMETHEUS_TEXT)], (state.metrics)())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_is_halved() {
        let at = |ms: i64| Timestamp::from_micros(ms * 1_000);
        assert_eq!(ahead_ms(at(1_000), at(1_500), at(2_000)), 0);
        assert_eq!(ahead_ms(at(1_000), at(4_500), at(2_000)), 3_000);
        assert_eq!(ahead_ms(at(1_000), at(0), at(1_000)), -1_000);
    }
}
