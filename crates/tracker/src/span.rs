//! A span per settled outcome, a child of its attempt's; and what a retry is linked by.

use std::cell::LazyCell;
use std::collections::HashMap;

use whimbrel_core::event::TraceContext;
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::Clock;
use whimbrel_core::{DeliveryId, Timestamp};
use whimbrel_telemetry::{KeyValue, Record, Span, SpanKind, exports_spans, messaging_system};

use crate::fold::Folded;

/// The outcomes are stored, and what follows from them is published.
pub(crate) fn settled(outcomes: &[Outcome], folded: &Folded, started: Timestamp, clock: &dyn Clock) {
    if !exports_spans() {
        return;
    }
    let ended = clock.now();
    let states = LazyCell::new(|| {
        let changes = folded.decision.deliveries.iter();
        changes.map(|change| (change.delivery.id, change.delivery.state.as_str())).collect::<HashMap<_, _>>()
    });
    for outcome in outcomes.iter().filter(|outcome| !outcome.trace.traceparent.is_empty()) {
        let Some(mut span) = Span::within(&outcome.trace, clock) else { return };
        if is_failure(outcome) {
            span.keep();
        }
        if span.is_written() {
            let state = states.get(&outcome.delivery).copied();
            span.end(record(outcome, state, started, ended));
        }
    }
}

fn is_failure(outcome: &Outcome) -> bool {
    matches!(&outcome.fate, Fate::Attempted(attempted) if !attempted.is_success())
}

fn record(outcome: &Outcome, state: Option<&'static str>, started: Timestamp, ended: Timestamp) -> Record {
    let mut attributes = vec![
        KeyValue::new("messaging.system", messaging_system()),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.destination.name", "whimbrel.outcomes"),
        KeyValue::new("messaging.message.id", outcome.delivery.to_string()),
        KeyValue::new("whimbrel.delivery.id", outcome.delivery.to_string()),
        KeyValue::new("whimbrel.event.id", outcome.event.to_string()),
        KeyValue::new("whimbrel.endpoint.id", outcome.endpoint.to_string()),
        KeyValue::new("whimbrel.contract", outcome.contract.to_string()),
        KeyValue::new("whimbrel.attempt", i64::from(outcome.attempt)),
        KeyValue::new("whimbrel.round", i64::from(outcome.round)),
    ];
    attributes.extend(state.map(|state| KeyValue::new("whimbrel.delivery.state", state)));
    let name = "process whimbrel.outcomes".into();
    let (scope, kind) = ("whimbrel.tracker", SpanKind::Consumer);
    Record { scope, name, kind, started, ended, attributes, error: None }
}

/// The trace of each delivery's last outcome, for the job that comes after it: a retry links to it.
pub(crate) fn last_attempts(outcomes: &[Outcome]) -> HashMap<DeliveryId, &TraceContext> {
    let traced = outcomes.iter().filter(|outcome| !outcome.trace.traceparent.is_empty());
    traced.map(|outcome| (outcome.delivery, &outcome.trace)).collect()
}
