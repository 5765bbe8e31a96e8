use std::time::Duration;

use async_trait::async_trait;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decide, Decision, Lane, Ledger, ToPublish, Unannounced};
use whimbrel_core::time::Timestamp;

use super::super::sweep::{self, Sweep};
use super::super::{Answer, SqliteStore, announce, settle, to_publish, waiting};

#[async_trait]
impl Ledger for SqliteStore {
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Answer<Decision> {
        settle::settle(&self.0.writer, outcomes, decide).await
    }

    async fn to_publish(&self, ids: &[DeliveryId]) -> Answer<Vec<ToPublish>> {
        Ok(to_publish::to_publish(self.reads(), ids).await?)
    }

    async fn overdue(
        &self,
        lane: Lane,
        until: Timestamp,
        now: Timestamp,
        base: Duration,
        limit: u32,
    ) -> Answer<Vec<Delivery>> {
        sweep::overdue(self.reads(), &self.0.writer, Sweep { lane, until, now, base, limit }).await
    }

    async fn last_overdue(&self, lane: Lane, until: Timestamp, limit: u32) -> Answer<Vec<Delivery>> {
        Ok(sweep::last_overdue(self.reads(), lane, until, limit).await?)
    }

    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Answer<Vec<Delivery>> {
        waiting::take_waiting(self.reads(), &self.0.writer, sweep_at, limit).await
    }

    async fn unannounced(&self, limit: u32) -> Answer<Vec<Unannounced>> {
        Ok(announce::unannounced(self.reads(), limit).await?)
    }

    async fn announced(&self, rows: &[(EndpointId, i64, &'static str)]) -> Answer<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let rows = rows.to_vec();
        self.write(move |tx| Box::pin(async move { announce::announced(tx, &rows).await })).await
    }
}
