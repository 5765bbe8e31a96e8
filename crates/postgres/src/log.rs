//! The log: events, deliveries, attempts, and the manual retry.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;
use whimbrel_core::delivery::{Attempt, DeliveryRow, DeliveryState, WaitReason};
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId, ExecutionId};
use whimbrel_core::port::{DeliveryFilter, Log, Page, Retried, StoreError};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, at, delivery, delivery_row, event_type, int, status_code, tenant_id};

#[async_trait]
impl Log for PostgresStore {
    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = sqlx::query(
            "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
                    only_endpoint
             FROM events WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(row.as_ref().map(event).transpose()?)
    }

    async fn events(&self, tenant: &TenantId, page: Page<EventId>) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
                    only_endpoint
             FROM events WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(tenant.as_str())
        .bind(page.after.map_or(Uuid::max(), EventId::uuid))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, event)?)
    }

    async fn deliveries_of_event(&self, tenant: &TenantId, event: EventId) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
                    event_type, attempts, status_code, error
             FROM deliveries WHERE id BETWEEN $1 AND $2 AND event_id = $3 AND tenant_id = $4 ORDER BY id",
        )
        .bind(event.delivery_range().0)
        .bind(event.delivery_range().1)
        .bind(event.uuid())
        .bind(tenant.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, delivery_row)?)
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
                    event_type, attempts, status_code, error
             FROM deliveries
             WHERE endpoint_id = $1 AND id < $2 AND id >= $3 AND id < $4
               AND (cardinality($5::text[]) = 0 OR state = ANY($5)) AND ($6::text IS NULL OR event_type = $6)
             ORDER BY id DESC LIMIT $7",
        )
        .bind(endpoint.uuid())
        .bind(page.after.map_or(Uuid::max(), DeliveryId::uuid))
        .bind(filter.since.map_or(Uuid::nil(), |at| DeliveryId::first_at(at).uuid()))
        .bind(filter.until.map_or(Uuid::max(), |at| DeliveryId::first_at(at).uuid()))
        .bind(&filter.states)
        .bind(filter.event_type.as_ref().map(EventType::as_str))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, delivery_row)?)
    }

    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRow, Vec<Attempt>)>, StoreError> {
        let row = sqlx::query(
            "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, tenant_id,
                    event_type, attempts, status_code, error
             FROM deliveries WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(Fault::from)?;
        let Some(row) = row else { return Ok(None) };
        let attempts = sqlx::query(
            "SELECT delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body
             FROM attempts WHERE delivery_id = $1 ORDER BY number",
        )
        .bind(id.uuid())
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(Some((delivery_row(&row)?, all(&attempts, attempt)?)))
    }

    async fn retry(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Retried>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let retried = retry(&mut transaction, tenant, id).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(retried)
    }
}

/// A new round, whose first number is one past the awaited or last one: an attempt of the old round that is
/// still under way keeps its own number (rule 1).
async fn retry(connection: &mut PgConnection, tenant: &TenantId, id: DeliveryId) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt,
                EXISTS (SELECT 1 FROM endpoints e WHERE e.id = endpoint_id AND e.status = 'active')
         FROM deliveries WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut found = delivery(&row)?;
    let active: bool = row.try_get(9)?;
    let idle = matches!(
        found.state,
        DeliveryState::Retrying { .. } | DeliveryState::Failed { .. } | DeliveryState::Succeeded { .. }
    );
    if !active || !idle {
        return Ok(Some(Retried::Not(found)));
    }
    found.round += 1;
    found.attempt += 1;
    found.first_attempt = found.attempt;
    found.state = DeliveryState::Waiting(WaitReason::Manual);
    sqlx::query(
        "UPDATE deliveries SET state = 'waiting', reason = 'manual', state_at = NULL, round = $2, first_attempt = $3,
                attempt = $3, sweep_at = NULL, sweeps = 0
         WHERE id = $1",
    )
    .bind(id.uuid())
    .bind(int(found.round))
    .bind(int(found.attempt))
    .execute(connection)
    .await?;
    Ok(Some(Retried::Waiting(found)))
}

fn event(row: &PgRow) -> Result<Event, Fault> {
    let place =
        |column: usize| -> Result<usize, Fault> { Ok(usize::try_from(row.try_get::<i32, _>(column)?).unwrap_or(0)) };
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

fn attempt(row: &PgRow) -> Result<Attempt, Fault> {
    let number =
        |column: usize| -> Result<u32, Fault> { Ok(u32::try_from(row.try_get::<i32, _>(column)?).unwrap_or(0)) };
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
