//! The ledger: outcomes become attempts, states and health in one transaction.

mod settle;
mod write;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::Row as _;
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, WaitReason};
use whimbrel_core::event::TraceContext;
use whimbrel_core::id::{DeliveryId, EventId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decide, Decision, Ledger, StoreError, ToPublish};

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

    async fn overdue(&self, now: Timestamp, base: Duration, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        // Ten doublings are enough for any base.
        let rows = sqlx::query(
            "UPDATE deliveries d SET sweep_at = $1 + $2 * (2 ^ least(d.sweeps, 10)) * interval '1 second',
                    sweeps = least(d.sweeps + 1, 1000)
             FROM (SELECT id, sweep_at FROM deliveries WHERE sweep_at <= $1 ORDER BY sweep_at LIMIT $3 FOR UPDATE SKIP LOCKED) due
             WHERE d.id = due.id
             RETURNING d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
                       due.sweep_at",
        )
        .bind(OffsetDateTime::from(now))
        .bind(base.as_secs_f64())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        let mut overdue = all(&rows, |row| Ok((at(row, 9)?, delivery(row)?)))?;
        overdue.sort_unstable_by_key(|(due, delivery)| (*due, delivery.id));
        Ok(overdue.into_iter().map(|(_, delivery)| delivery).collect())
    }

    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Result<Vec<(Delivery, WaitReason)>, StoreError> {
        let rows = sqlx::query(
            "UPDATE deliveries d SET state = 'pending', reason = NULL, sweep_at = $1, sweeps = 0
             FROM (SELECT id, reason FROM deliveries WHERE state = 'waiting' ORDER BY id LIMIT $2
                   FOR UPDATE SKIP LOCKED) taken
             WHERE d.id = taken.id
             RETURNING d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt,
                       d.attempt, taken.reason",
        )
        .bind(OffsetDateTime::from(sweep_at))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        let mut taken = all(&rows, |row| {
            let word: &str = row.try_get(9)?;
            let why = WaitReason::parse(word).ok_or_else(|| Fault::Row(format!("`{word}` is no reason to wait")))?;
            Ok((delivery(row)?, why))
        })?;
        taken.sort_unstable_by_key(|(delivery, _)| delivery.id);
        Ok(taken)
    }
}
