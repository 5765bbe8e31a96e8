//! How events and attempts are read.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;
use whimbrel_core::delivery::Attempt;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId, ExecutionId};

use crate::fault::Fault;
use crate::rows::{at, event_type, status_code, tenant_id, unsigned};

/// Reads `id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate, only_endpoint`.
pub(crate) fn event(row: &PgRow) -> Result<Event, Fault> {
    let place = |column: usize| -> Result<usize, Fault> { Ok(unsigned(row.try_get(column)?) as usize) };
    Ok(Event {
        id: EventId::from_uuid(row.try_get(0)?),
        tenant: tenant_id(row.try_get(1)?)?,
        event_type: event_type(row.try_get(2)?)?,
        occurred_at: at(row, 3)?,
        body: row.try_get::<Vec<u8>, _>(4)?.into(),
        data_range: place(5)?..place(6)?,
        trace: TraceContext { traceparent: row.try_get(7)?, tracestate: row.try_get(8)? },
        only_endpoint: row.try_get::<Option<Uuid>, _>(9)?.map(EndpointId::from_uuid),
    })
}

/// Reads `delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body`.
pub(crate) fn attempt(row: &PgRow) -> Result<Attempt, Fault> {
    let number = |column: usize| -> Result<u32, Fault> { Ok(unsigned(row.try_get(column)?)) };
    Ok(Attempt {
        delivery: DeliveryId::from_uuid(row.try_get(0)?),
        number: number(1)?,
        round: number(2)?,
        execution: ExecutionId::from_uuid(row.try_get(3)?),
        started_at: at(row, 4)?,
        duration_ms: number(5)?,
        status_code: status_code(row.try_get(6)?),
        error: row.try_get(7)?,
        response_body: row.try_get::<Vec<u8>, _>(8)?.into(),
    })
}
