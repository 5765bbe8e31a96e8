//! Lines of the log: an event with its deliveries and their attempts.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use whimbrel_core::delivery::{Attempt, Delivery, DeliveryRow, DeliveryState};
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::port::{LoggedDelivery, LoggedEvent};
use whimbrel_core::subscription::EventType;
use whimbrel_core::{DeliveryId, EndpointId, EventId, ExecutionId, TenantId, Timestamp};

use super::base64;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EventLine {
    id: EventId,
    tenant: TenantId,
    r#type: EventType,
    occurred_at: Timestamp,
    #[serde(with = "base64")]
    body: Bytes,
    /// Where the publisher's data begins and ends inside the body.
    data: [usize; 2],
    #[serde(default, skip_serializing_if = "String::is_empty")]
    traceparent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tracestate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only_endpoint: Option<EndpointId>,
    deliveries: Vec<DeliveryLine>,
}

/// A delivery; its id follows from event and endpoint (rule 1).
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct DeliveryLine {
    endpoint: EndpointId,
    state: String,
    reason: Option<String>,
    at: Option<Timestamp>,
    round: u32,
    first_attempt: u32,
    attempt: u32,
    attempts: u32,
    status_code: Option<u16>,
    error: Option<String>,
    log: Vec<AttemptLine>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct AttemptLine {
    number: u32,
    round: u32,
    execution: ExecutionId,
    started_at: Timestamp,
    duration_ms: u32,
    status_code: Option<u16>,
    error: Option<String>,
    #[serde(with = "base64")]
    response_body: Bytes,
}

impl EventLine {
    /// Roughly the memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let responses = self.deliveries.iter().flat_map(|delivery| &delivery.log);
        self.body.len() + responses.map(|attempt| attempt.response_body.len() + size_of::<AttemptLine>()).sum::<usize>()
    }
}

impl From<LoggedEvent> for EventLine {
    fn from(logged: LoggedEvent) -> Self {
        let event = logged.event;
        Self {
            id: event.id,
            tenant: event.tenant,
            r#type: event.event_type,
            occurred_at: event.occurred_at,
            body: event.body,
            data: [event.data_range.start, event.data_range.end],
            traceparent: event.trace.traceparent,
            tracestate: event.trace.tracestate,
            only_endpoint: event.only_endpoint,
            deliveries: logged.deliveries.into_iter().map(DeliveryLine::from).collect(),
        }
    }
}

impl From<LoggedDelivery> for DeliveryLine {
    fn from(LoggedDelivery { row, attempts }: LoggedDelivery) -> Self {
        let (reason, at) = row.delivery.state.columns();
        Self {
            endpoint: row.delivery.endpoint,
            state: row.delivery.state.as_str().to_owned(),
            reason: reason.map(str::to_owned),
            at,
            round: row.delivery.round,
            first_attempt: row.delivery.first_attempt,
            attempt: row.delivery.attempt,
            attempts: row.attempts,
            status_code: row.status_code,
            error: row.error,
            log: attempts.into_iter().map(AttemptLine::from).collect(),
        }
    }
}

impl From<Attempt> for AttemptLine {
    fn from(attempt: Attempt) -> Self {
        let Attempt {
            delivery: _,
            number,
            round,
            execution,
            started_at,
            duration_ms,
            status_code,
            error,
            response_body,
        } = attempt;
        Self { number, round, execution, started_at, duration_ms, status_code, error, response_body }
    }
}

impl TryFrom<EventLine> for LoggedEvent {
    type Error = anyhow::Error;

    fn try_from(line: EventLine) -> anyhow::Result<Self> {
        let [start, end] = line.data;
        anyhow::ensure!(
            start <= end && end <= line.body.len(),
            "the data of {} lies at {start} to {end} of a body of {} bytes",
            line.id,
            line.body.len()
        );
        let event = Event {
            id: line.id,
            tenant: line.tenant,
            event_type: line.r#type,
            occurred_at: line.occurred_at,
            body: line.body,
            data_range: start..end,
            trace: TraceContext { traceparent: line.traceparent, tracestate: line.tracestate },
            only_endpoint: line.only_endpoint,
        };
        let mut deliveries: Vec<_> =
            line.deliveries.into_iter().map(|delivery| delivery.read(&event)).collect::<Result<_, _>>()?;
        deliveries.sort_by_key(|delivery| delivery.row.delivery.id);
        Ok(Self { event, deliveries })
    }
}

impl DeliveryLine {
    fn read(self, event: &Event) -> anyhow::Result<LoggedDelivery> {
        let id = DeliveryId::of(event.id, self.endpoint);
        let state = DeliveryState::from_columns(&self.state, self.reason.as_deref(), self.at);
        let state = state.ok_or_else(|| {
            anyhow::anyhow!("the delivery {id} is in no known state: {} {:?} {:?}", self.state, self.reason, self.at)
        })?;
        let delivery = Delivery {
            round: self.round,
            first_attempt: self.first_attempt,
            attempt: self.attempt,
            ..Delivery::new(event.id, self.endpoint, state)
        };
        let row = DeliveryRow {
            delivery,
            tenant: event.tenant.clone(),
            event_type: event.event_type.clone(),
            attempts: self.attempts,
            status_code: self.status_code,
            error: self.error,
        };
        Ok(LoggedDelivery { row, attempts: self.log.into_iter().map(|attempt| attempt.read(id)).collect() })
    }
}

impl AttemptLine {
    fn read(self, delivery: DeliveryId) -> Attempt {
        let Self { number, round, execution, started_at, duration_ms, status_code, error, response_body } = self;
        Attempt { delivery, number, round, execution, started_at, duration_ms, status_code, error, response_body }
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
