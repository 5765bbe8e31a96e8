//! From an incoming event to one that can be queued: the tenant, the rules of intake, an id.

use whimbrel_core::EventId;
use whimbrel_core::Timestamp;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::{IncomingEvent, Window, validate};
use whimbrel_core::message::{id_bytes, trace_to_wire, v1};

use crate::auth::Caller;
use crate::problem::Answer;
use crate::state::ApiState;

/// An event that may be queued.
pub(super) struct Checked {
    /// Its id, unless its key turns out to be another event's.
    pub(super) id: EventId,
    /// What was sent.
    pub(super) event: IncomingEvent,
    occurred_at: Timestamp,
}

/// Checks an event against its tenant's contract.
pub(super) fn check(state: &ApiState, caller: &Caller, event: IncomingEvent, now: Timestamp) -> Answer<Checked> {
    caller.confirm(event.tenant.as_ref())?;
    let contract = caller.contract(state)?;
    let id = EventId::generate(now, state.clock.random10());
    let occurred_at = event.occurred_at.unwrap_or(now);
    let window = Window { now, retention: state.settings.retention };
    let checked = validate(contract, id, &event.event_type, &event.data, occurred_at, window);
    if let Err(rejection) = &checked {
        metrics::counter!("whimbrel_events_rejected_total", "reason" => rejection.reason, "source" => "http")
            .increment(1);
    }
    checked?;
    Ok(Checked { id, event, occurred_at })
}

impl Checked {
    /// As it goes to ingest, under the id that it has in the end.
    pub(super) fn into_message(self, id: EventId, caller: &Caller, request: &TraceContext) -> v1::Event {
        let trace = if self.event.trace.traceparent.is_empty() { request } else { &self.event.trace };
        v1::Event {
            id: id_bytes(id.uuid()),
            tenant: caller.tenant.id.to_string(),
            r#type: self.event.event_type.to_string(),
            occurred_at_us: self.occurred_at.as_micros(),
            trace: trace_to_wire(trace),
            data: self.event.data,
            ..v1::Event::default()
        }
    }
}
