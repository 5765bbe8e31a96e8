//! From an incoming event to one that can be queued: the tenant, the rules of intake, an id.

use whimbrel_core::EventId;
use whimbrel_core::Timestamp;
use whimbrel_core::contract::Contract;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::{IncomingEvent, Window, validate};
use whimbrel_core::message::{id_bytes, trace_to_wire, v1};
use whimbrel_core::problem::Rejection;

use super::schemas::TenantSchemas;
use crate::auth::Caller;
use crate::problem::Answer;
use crate::state::ApiState;
use crate::tenants::limits;

/// What events must meet, as of one request.
pub(super) struct Gate<'a> {
    state: &'a ApiState,
    caller: &'a Caller,
    contract: &'a Contract,
    schemas: TenantSchemas,
    now: Timestamp,
}

/// An event that may be queued.
pub(super) struct Checked {
    /// Its id, unless its key turns out to be another event's.
    pub(super) id: EventId,
    /// What was sent.
    pub(super) event: IncomingEvent,
    occurred_at: Timestamp,
}

impl<'a> Gate<'a> {
    /// With the tenant's contract, limits and schemas.
    pub(super) async fn open(state: &'a ApiState, caller: &'a Caller, now: Timestamp) -> Answer<Self> {
        let contract = caller.contract(state)?;
        let schemas = state.memory.schemas.of(&*state.store, &caller.tenant).await?;
        Ok(Self { state, caller, contract, schemas, now })
    }

    /// Checks one event.
    pub(super) fn check(&self, event: IncomingEvent) -> Answer<Checked> {
        self.caller.confirm(event.tenant.as_ref())?;
        let id = EventId::generate(self.now, self.state.clock.random10());
        let occurred_at = event.occurred_at.unwrap_or(self.now);
        self.check_rules(id, &event, occurred_at).inspect_err(|rejection| {
            metrics::counter!("whimbrel_events_rejected_total", "reason" => rejection.reason, "source" => "http")
                .increment(1);
        })?;
        Ok(Checked { id, event, occurred_at })
    }

    fn check_rules(&self, id: EventId, event: &IncomingEvent, occurred_at: Timestamp) -> Result<(), Rejection> {
        let window = Window { now: self.now, retention: self.state.settings.retention };
        let rendered = validate(self.contract, id, &event.event_type, &event.data, occurred_at, window)?;
        self.check_payload(rendered.body.len())?;
        self.schemas.get(&event.event_type).map_or(Ok(()), |schema| schema.validate(&event.data))
    }

    /// The tenant's own limit holds for what goes out, as its contract's does (rule 34).
    fn check_payload(&self, bytes: usize) -> Result<(), Rejection> {
        let bytes_max = limits::payload_bytes(self.contract, &self.caller.tenant.limits);
        if bytes <= bytes_max {
            return Ok(());
        }
        let tenant = &self.caller.tenant.id;
        let message = format!("the payload has {bytes} bytes; `{tenant}` may send {bytes_max} at most");
        Err(Rejection::new("oversize", "/data", message))
    }
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
