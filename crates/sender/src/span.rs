//! A span per attempt: a child of the event's span, linked to the attempt before it.

use http::Uri;
use http::header::HeaderValue;
use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, Reply};
use whimbrel_core::port::{Clock, Lane};
use whimbrel_telemetry::{KeyValue, Record, Span, SpanKind, messaging_system};

use crate::target::Target;

/// The span of an attempt under way, in a process that exports spans.
pub(crate) struct AttemptSpan(Option<Span>);

impl AttemptSpan {
    /// Both the event and its job carry a trace. The job's is another one when it comes after an attempt.
    pub(crate) fn begin(job: &Job, clock: &dyn Clock) -> Self {
        let of_event = &job.body.trace;
        let parent = if of_event.traceparent.is_empty() { &job.trace } else { of_event };
        let mut span = Span::within(parent, clock);
        if let Some(span) = span.as_mut().filter(|_| job.trace != *of_event) {
            span.follow(&job.trace);
        }
        Self(span)
    }

    /// For the receiver: this attempt, or the event's trace where there are no spans.
    pub(crate) fn traceparent(&self, job: &Job) -> Option<HeaderValue> {
        let text = match &self.0 {
            Some(span) => span.context().traceparent,
            None => job.body.trace.traceparent.clone(),
        };
        HeaderValue::try_from(text).ok().filter(|value| !value.is_empty())
    }

    /// The job's trace becomes this attempt's. A failure is written, whatever the sampler said.
    pub(crate) fn end(self, lane: Lane, job: &mut Job, target: &Target, attempted: &Attempted) {
        let Some(mut span) = self.0 else { return };
        if !attempted.is_success() {
            span.keep();
        }
        let onward = span.onward();
        if span.is_written() {
            span.end(Record {
                scope: "whimbrel.sender",
                name: "POST".into(),
                kind: SpanKind::Client,
                started: attempted.started_at,
                ended: attempted.started_at + attempted.duration,
                attributes: attributes(lane, job, target, attempted),
                error: attempted.error(),
            });
        }
        if let Some(onward) = onward {
            job.trace = onward;
        }
    }
}

fn attributes(lane: Lane, job: &Job, target: &Target, attempted: &Attempted) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("http.request.body.size", integer(job.body.bytes.len())),
        KeyValue::new("messaging.system", messaging_system()),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.destination.name", "whimbrel.jobs"),
        KeyValue::new("messaging.message.id", job.delivery.to_string()),
        KeyValue::new("whimbrel.delivery.id", job.delivery.to_string()),
        KeyValue::new("whimbrel.event.id", job.body.event.to_string()),
        KeyValue::new("whimbrel.event.kind", job.body.event_type.clone()),
        KeyValue::new("whimbrel.endpoint.id", job.endpoint.to_string()),
        KeyValue::new("whimbrel.tenant.id", target.tenant.to_string()),
        KeyValue::new("whimbrel.contract", job.contract.to_string()),
        KeyValue::new("whimbrel.lane", lane.as_str()),
        KeyValue::new("whimbrel.attempt", i64::from(job.attempt)),
        KeyValue::new("whimbrel.round", i64::from(job.round)),
    ];
    if job.attempt > 1 {
        attributes.push(KeyValue::new("http.request.resend_count", i64::from(job.attempt - 1)));
    }
    if let Ok(way) = &target.way {
        attributes.extend(server(way.destination.origin()));
    }
    match &attempted.reply {
        Reply::Response { status, .. } => {
            attributes.push(KeyValue::new("http.response.status_code", i64::from(*status)));
            if !attempted.is_success() {
                attributes.push(KeyValue::new("error.type", status.to_string()));
            }
        }
        Reply::Error { kind, .. } => attributes.push(KeyValue::new("error.type", kind.as_str())),
    }
    attributes
}

/// Where to, without path and query: receivers keep secrets there.
fn server(origin: &Uri) -> impl Iterator<Item = KeyValue> {
    let address = origin.host().map(|host| KeyValue::new("server.address", host.to_owned()));
    let scheme = origin.scheme_str().unwrap_or_default().to_owned();
    let port = origin.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let port = KeyValue::new("server.port", i64::from(port));
    address.into_iter().chain([port, KeyValue::new("url.scheme", scheme)])
}

fn integer(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
