//! The caller's trace, and a span per request within it.

use std::borrow::Cow;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
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

/// Begins a request's span, if it has one. To the handlers the request then seems to come from it.
pub(crate) fn begin(request: &mut Request, clock: &dyn Clock) -> Option<Traced> {
    let span = Span::entering(&trace_of(request.headers()), clock)?;
    if let Some(onward) = span.onward() {
        replace(request.headers_mut(), onward);
    }
    Some(Traced {
        span,
        method: request.method().clone(),
        uri: request.uri().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        started: clock.now(),
    })
}

fn replace(headers: &mut HeaderMap, trace: TraceContext) {
    for (name, value) in [(TRACEPARENT, trace.traceparent), (TRACESTATE, trace.tracestate)] {
        match HeaderValue::try_from(value).ok().filter(|value| !value.is_empty()) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
}

/// A request's span, and what it tells of it.
pub(crate) struct Traced {
    span: Span,
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    started: Timestamp,
}

impl Traced {
    /// An answer that is Whimbrel's own failure is written, whatever the sampler said.
    pub(crate) fn answered(mut self, status: StatusCode, ended: Timestamp) {
        let span = &mut self.span;
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
        self.span.end(Record { scope, name, kind, started, ended, attributes, error });
    }
}
