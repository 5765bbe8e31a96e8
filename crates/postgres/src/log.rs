//! The log: events, deliveries, attempts, and what people do with them.

pub(crate) mod read;
mod retry;
mod stats;

use async_trait::async_trait;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Attempt, DeliveryRow};
use whimbrel_core::event::Event;
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::port::{DeliveryFilter, EndpointStats, Log, Page, Retried, StoreError};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use self::read::{attempt, event};
use crate::erase::erase;
use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, delivery_row};

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
        let retried = retry::delivery(&mut transaction, tenant, id).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(retried)
    }

    async fn replay_event(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        event: EventId,
    ) -> Result<Option<Retried>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let retried = retry::event(&mut transaction, tenant, endpoint, event).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(retried)
    }

    async fn erase_event(&self, tenant: &TenantId, id: EventId) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let mine: Option<i32> = sqlx::query_scalar("SELECT 1 FROM events WHERE id = $1 AND tenant_id = $2")
            .bind(id.uuid())
            .bind(tenant.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        if mine.is_none() {
            return Ok(false);
        }
        erase(&mut transaction, &[id]).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(true)
    }

    async fn stats(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<EndpointStats, StoreError> {
        Ok(stats::stats(&self.pool, endpoint, since, until).await?)
    }
}
