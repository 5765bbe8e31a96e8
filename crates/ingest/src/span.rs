//! A span per event, under which its attempts come.

use whimbrel_core::Timestamp;
use whimbrel_core::event::Event;
use whimbrel_core::port::{Clock, Fanout, Received};
use whimbrel_core::problem::Rejection;
use whimbrel_telemetry::{KeyValue, Record, Span, SpanKind, messaging_system};

use crate::read::{Incoming, trace_of};

/// Begins the event's span, and puts the event under it. An event of the API comes with the decision of the API's
/// sampler; here begin the traces of upstream's own.
pub(crate) fn begin(incoming: &Result<Incoming, Rejection>, event: &mut Event, clock: &dyn Clock) -> Option<Span> {
    let from_upstream = incoming.as_ref().is_ok_and(|incoming| incoming.id.is_none());
    let span = if from_upstream { Span::entering(&event.trace, clock) } else { Span::within(&event.trace, clock) }?;
    if let Some(onward) = span.onward() {
        event.trace = onward;
    }
    Some(span)
}

/// The event is stored, and its first jobs are published.
pub(crate) fn accepted(
    span: Option<Span>,
    fanout: &Fanout,
    received: &Received,
    started: Timestamp,
    clock: &dyn Clock,
) {
    let Some(span) = span.filter(Span::is_written) else { return };
    let mut attributes = attributes(received);
    attributes.extend([
        KeyValue::new("whimbrel.event.id", fanout.event.id.to_string()),
        KeyValue::new("whimbrel.event.kind", fanout.event.event_type.to_string()),
        KeyValue::new("whimbrel.tenant.id", fanout.event.tenant.to_string()),
        KeyValue::new("whimbrel.deliveries", i64::try_from(fanout.deliveries.len()).unwrap_or(i64::MAX)),
    ]);
    end(span, attributes, None, started, clock.now());
}

/// The message is parked: that is written, whatever the sampler said.
pub(crate) fn rejected(
    incoming: &Result<Incoming, Rejection>,
    received: &Received,
    rejection: &Rejection,
    started: Timestamp,
    clock: &dyn Clock,
) {
    let span = match incoming {
        Ok(incoming) => Span::within(&incoming.event.trace, clock),
        Err(_) => Span::within(&trace_of(received), clock),
    };
    let Some(mut span) = span else { return };
    span.keep();
    let mut attributes = attributes(received);
    attributes.push(KeyValue::new("error.type", rejection.reason));
    end(span, attributes, Some(rejection.message.clone()), started, clock.now());
}

fn attributes(received: &Received) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("messaging.system", messaging_system()),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.destination.name", "whimbrel.events"),
        KeyValue::new("messaging.message.body.size", i64::try_from(received.payload.len()).unwrap_or(i64::MAX)),
    ];
    if !received.message_id.is_empty() {
        attributes.push(KeyValue::new("messaging.message.id", received.message_id.clone()));
    }
    attributes
}

fn end(span: Span, attributes: Vec<KeyValue>, error: Option<String>, started: Timestamp, ended: Timestamp) {
    let name = "process whimbrel.events".into();
    span.end(Record { scope: "whimbrel.ingest", name, kind: SpanKind::Consumer, started, ended, attributes, error });
}
