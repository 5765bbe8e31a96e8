//! The caller's trace, and a span per request within it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use whimbrel_core::Timestamp;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::trace_context;
use whimbrel_core::port::Clock;
use whimbrel_telemetry::{KeyValue, Record, Span, SpanKind};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The trace of a request; empty when it has none or a malformed one.
pub(crate) fn trace_of(headers: &HeaderMap) -> TraceContext {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    trace_context(text(TRACEPARENT), text(TRACESTATE))
}

/// Serves a request within a span. To the handlers the request then seems to come from that span, so that what they
/// publish goes on from it.
pub(crate) async fn serve(State(clock): State<Arc<dyn Clock>>, mut request: Request, next: Next) -> Response {
    let Some(span) = Span::entering(&trace_of(request.headers()), &*clock) else { return next.run(request).await };
    if let Some(onward) = span.onward() {
        replace(request.headers_mut(), onward);
    }
    let asked = Asked::of(&request, clock.now());
    let response = next.run(request).await;
    asked.answered(span, response.status(), clock.now());
    response
}

fn replace(headers: &mut HeaderMap, trace: TraceContext) {
    for (name, value) in [(TRACEPARENT, trace.traceparent), (TRACESTATE, trace.tracestate)] {
        match HeaderValue::try_from(value).ok().filter(|value| !value.is_empty()) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
}

/// What a request's span tells of it.
struct Asked {
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    started: Timestamp,
}

impl Asked {
    fn of(request: &Request, started: Timestamp) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        Self { method: request.method().clone(), uri: request.uri().clone(), route, started }
    }

    /// An answer that is Whimbrel's own failure is written, whatever the sampler said.
    fn answered(self, mut span: Span, status: StatusCode, ended: Timestamp) {
        let failed = status.is_server_error();
        if failed {
            span.keep();
        }
        if !span.is_written() {
            return;
        }
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.method.to_string()),
            KeyValue::new("url.path", self.uri.path().to_owned()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ];
        let name: Cow<'static, str> = match &self.route {
            Some(route) => format!("{} {}", self.method, route.as_str()).into(),
            None => self.method.to_string().into(),
        };
        attributes.extend(self.route.map(|route| KeyValue::new("http.route", route.as_str().to_owned())));
        if failed {
            attributes.push(KeyValue::new("error.type", status.as_str().to_owned()));
        }
        let error = failed.then(|| format!("answered {status}"));
        let (scope, kind, started) = ("whimbrel.api", SpanKind::Server, self.started);
        span.end(Record { scope, name, kind, started, ended, attributes, error });
    }
}
