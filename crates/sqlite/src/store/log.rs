//! Reading the log.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Attempt, DeliveryRow};
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId, ExecutionId};
use whimbrel_core::port::{DeliveryFilter, Page};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::fault::Fault;

/// See [`whimbrel_core::port::Log::event`].
pub(super) async fn event(reads: &SqlitePool, tenant: &TenantId, id: EventId) -> Result<Option<Event>, Fault> {
    let row = sqlx::query(
        "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
             only_endpoint
         FROM events WHERE tenant_id = ?1 AND id = ?2",
    )
    .bind(tenant.as_str())
    .bind(id.uuid())
    .fetch_optional(reads)
    .await?;
    row.as_ref().map(read_event).transpose()
}

/// See [`whimbrel_core::port::Log::events`].
pub(super) async fn events(reads: &SqlitePool, tenant: &TenantId, page: Page<EventId>) -> Result<Vec<Event>, Fault> {
    let found = sqlx::query(
        "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
             only_endpoint
         FROM events WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    )
    .bind(tenant.as_str())
    .bind(page.after.map_or(Uuid::max(), EventId::uuid))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, read_event)
}

/// Reads `id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate, only_endpoint`.
pub(super) fn read_event(row: &SqliteRow) -> Result<Event, Fault> {
    let body: Vec<u8> = row.try_get(4)?;
    let place = |index: usize| -> Result<usize, Fault> {
        let place: i64 = row.try_get(index)?;
        usize::try_from(place).map_err(|_| Fault::Row(format!("an event's data begins or ends at {place}")))
    };
    let only_endpoint: Option<Uuid> = row.try_get(9)?;
    Ok(Event {
        id: EventId::from_uuid(row.try_get(0)?),
        tenant: rows::tenant_id(row.try_get(1)?)?,
        event_type: rows::event_type(row.try_get(2)?)?,
        occurred_at: Timestamp::from_micros(row.try_get(3)?),
        body: body.into(),
        data_range: place(5)?..place(6)?,
        trace: TraceContext { traceparent: row.try_get(7)?, tracestate: row.try_get(8)? },
        only_endpoint: only_endpoint.map(EndpointId::from_uuid),
    })
}

/// See [`whimbrel_core::port::Log::deliveries_of_event`]. They lie within the event's millisecond.
pub(super) async fn deliveries_of_event(
    reads: &SqlitePool,
    tenant: &TenantId,
    event: EventId,
) -> Result<Vec<DeliveryRow>, Fault> {
    let found = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
             event_type, attempts, status_code, error
         FROM deliveries WHERE id BETWEEN ?1 AND ?2 AND event_id = ?3 AND tenant_id = ?4 ORDER BY id",
    )
    .bind(event.delivery_range().0)
    .bind(event.delivery_range().1)
    .bind(event.uuid())
    .bind(tenant.as_str())
    .fetch_all(reads)
    .await?;
    rows::all(&found, rows::delivery_row)
}

/// See [`whimbrel_core::port::Log::deliveries`]. Times are bounds on ids, which begin with the event's.
pub(super) async fn deliveries(
    reads: &SqlitePool,
    endpoint: EndpointId,
    filter: &DeliveryFilter,
    page: Page<DeliveryId>,
) -> Result<Vec<DeliveryRow>, Fault> {
    let from = filter.since.map_or(Uuid::nil(), |at| DeliveryId::first_at(at).uuid());
    let to = filter
        .until
        .map_or(Uuid::max(), |at| DeliveryId::first_at(at).uuid())
        .min(page.after.map_or(Uuid::max(), DeliveryId::uuid));
    let states = (!filter.states.is_empty()).then(|| serde_json::json!(filter.states).to_string());
    let found = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
             event_type, attempts, status_code, error
         FROM deliveries
         WHERE endpoint_id = ?1 AND id >= ?2 AND id < ?3
             AND (?4 IS NULL OR state IN (SELECT value FROM json_each(?4)))
             AND (?5 IS NULL OR event_type = ?5)
         ORDER BY id DESC LIMIT ?6",
    )
    .bind(endpoint.uuid())
    .bind(from)
    .bind(to)
    .bind(states)
    .bind(filter.event_type.as_ref().map(EventType::as_str))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, rows::delivery_row)
}

/// See [`whimbrel_core::port::Log::delivery`].
pub(super) async fn delivery(
    reads: &SqlitePool,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<(DeliveryRow, Vec<Attempt>)>, Fault> {
    // Attempts first: what is recorded between the two reads then shows in the delivery only.
    let attempts = attempts(reads, id).await?;
    let row = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
             event_type, attempts, status_code, error
         FROM deliveries WHERE id = ?1 AND tenant_id = ?2",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(reads)
    .await?;
    row.as_ref().map(|row| Ok((rows::delivery_row(row)?, attempts))).transpose()
}

async fn attempts(reads: &SqlitePool, delivery: DeliveryId) -> Result<Vec<Attempt>, Fault> {
    let found = sqlx::query(
        "SELECT delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body
         FROM attempts WHERE delivery_id = ?1 ORDER BY number",
    )
    .bind(delivery.uuid())
    .fetch_all(reads)
    .await?;
    rows::all(&found, read_attempt)
}

/// Reads `delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body`.
pub(super) fn read_attempt(row: &SqliteRow) -> Result<Attempt, Fault> {
    let body: Vec<u8> = row.try_get(8)?;
    Ok(Attempt {
        delivery: DeliveryId::from_uuid(row.try_get(0)?),
        number: row.try_get(1)?,
        round: row.try_get(2)?,
        execution: ExecutionId::from_uuid(row.try_get(3)?),
        started_at: Timestamp::from_micros(row.try_get(4)?),
        duration_ms: row.try_get(5)?,
        status_code: row.try_get(6)?,
        error: row.try_get(7)?,
        response_body: body.into(),
    })
}
