//! The ledger: outcomes become attempts, states and health in one transaction.

mod announce;
mod attempts;
mod endpoints;
mod settle;
mod sweep;
mod to_publish;
mod write;

pub(crate) use attempts::insert_missing;

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decide, Decision, Lane, Ledger, StoreError, ToPublish, Unannounced};

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, delivery};

#[async_trait]
impl Ledger for PostgresStore {
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, StoreError> {
        Ok(self.settle_batch(outcomes, decide).await?)
    }

    async fn to_publish(&self, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, StoreError> {
        Ok(to_publish::read(&self.keyed, ids).await?)
    }

    async fn overdue(
        &self,
        lane: Lane,
        until: Timestamp,
        now: Timestamp,
        base: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(sweep::claim(&self.duties, lane, until, (now, base), limit).await?)
    }

    async fn last_overdue(&self, lane: Lane, until: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        Ok(sweep::last(&self.duties, lane, until, limit).await?)
    }

    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        // Asked twice a second, and hardly ever true: not worth a plan over all days each time.
        let any: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting' AND reason = 'manual')",
        )
        .fetch_one(&self.keyed)
        .await
        .map_err(Fault::from)?;
        if !any {
            return Ok(Vec::new());
        }
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
        .fetch_all(&self.duties)
        .await
        .map_err(Fault::from)?;
        let mut taken = all(&rows, delivery)?;
        taken.sort_unstable_by_key(|delivery| delivery.id);
        Ok(taken)
    }

    async fn unannounced(&self, limit: u32) -> Result<Vec<Unannounced>, StoreError> {
        Ok(announce::unannounced(&self.duties, limit).await?)
    }

    async fn announced(&self, rows: &[(EndpointId, i64, &'static str)]) -> Result<(), StoreError> {
        Ok(announce::announced(&self.duties, rows).await?)
    }
}
