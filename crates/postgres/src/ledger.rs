//! The ledger: outcomes become attempts, states and health in one transaction.

mod announce;
mod settle;
mod sweep;
mod write;

pub(crate) use settle::insert_attempts;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::event::TraceContext;
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decide, Decision, Lane, Ledger, StoreError, ToPublish, Unannounced};

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, at, bounds, contract, delivery, event_type, tenant_id};

#[async_trait]
impl Ledger for PostgresStore {
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, StoreError> {
        Ok(self.settle_batch(outcomes, decide).await?)
    }

    async fn to_publish(&self, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let (low, high) = bounds(&ids);
        let rows = sqlx::query(
            "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
                    d.tenant_id, t.contract, d.event_type, e.occurred_at, e.body, e.traceparent, e.tracestate,
                    coalesce(p.version, 0)
             FROM deliveries d
             JOIN events e ON e.id = d.event_id AND e.id BETWEEN $4 AND $5
             JOIN tenants t ON t.id = d.tenant_id
             LEFT JOIN endpoints p ON p.id = d.endpoint_id
             WHERE d.id = ANY($1) AND d.id BETWEEN $2 AND $3 ORDER BY d.event_id, d.id",
        )
        .bind(ids)
        .bind(low)
        .bind(high)
        .bind(EventId::from_uuid(low).delivery_range().0)
        .bind(EventId::from_uuid(high).delivery_range().1)
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, |row| {
            Ok(ToPublish {
                delivery: delivery(row)?,
                tenant: tenant_id(row.try_get(9)?)?,
                contract: contract(row.try_get(10)?)?,
                event_type: event_type(row.try_get(11)?)?,
                occurred_at: at(row, 12)?,
                body: row.try_get::<Vec<u8>, _>(13)?.into(),
                trace: TraceContext { traceparent: row.try_get(14)?, tracestate: row.try_get(15)? },
                endpoint_version: row.try_get(16)?,
            })
        })?)
    }

    async fn overdue(
        &self,
        lane: Lane,
        until: Timestamp,
        now: Timestamp,
        base: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(sweep::claim(&self.pool, lane, until, (now, base), limit).await?)
    }

    async fn last_overdue(&self, lane: Lane, until: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        Ok(sweep::last(&self.pool, lane, until, limit).await?)
    }

    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(
            "WITH taken AS (
                 SELECT id FROM deliveries WHERE state = 'waiting' AND reason = 'manual' ORDER BY id LIMIT $2
                 FOR UPDATE SKIP LOCKED
             )
             UPDATE deliveries d SET state = 'pending', reason = NULL, sweep_at = $1, sweeps = 0
             FROM taken WHERE d.id = taken.id
             RETURNING d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt,
                       d.attempt",
        )
        .bind(OffsetDateTime::from(sweep_at))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        let mut taken = all(&rows, delivery)?;
        taken.sort_unstable_by_key(|delivery| delivery.id);
        Ok(taken)
    }

    async fn unannounced(&self, limit: u32) -> Result<Vec<Unannounced>, StoreError> {
        Ok(announce::unannounced(&self.pool, limit).await?)
    }

    async fn announced(&self, rows: &[(EndpointId, i64, &'static str)]) -> Result<(), StoreError> {
        Ok(announce::announced(&self.pool, rows).await?)
    }
}
