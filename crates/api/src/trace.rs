//! The caller's trace.

use axum::http::HeaderMap;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::trace_context;

/// The trace of a request; empty when it has none or a malformed one.
pub(crate) fn trace_of(headers: &HeaderMap) -> TraceContext {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    trace_context(text("traceparent"), text("tracestate"))
}
