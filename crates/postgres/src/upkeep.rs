//! What is done by the clock: leases, partitions, retention, erasure, counting.

mod endpoints;
mod erase;
mod expire;
mod leftovers;
mod prune;
mod usage;

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{EndpointCounts, Pruned, StoreError, Upkeep};

use crate::fault::Fault;
use crate::open::PostgresStore;

#[async_trait]
impl Upkeep for PostgresStore {
    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<bool, StoreError> {
        // On the database's clock: the holders' may differ.
        let taken: Option<i32> = sqlx::query_scalar(
            "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, now() + $3 * interval '1 second')
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
             WHERE leases.holder = excluded.holder OR leases.expires_at < now() RETURNING 1",
        )
        .bind(name)
        .bind(holder)
        .bind(ttl.as_secs_f64())
        .fetch_optional(&self.duties)
        .await
        .map_err(Fault::from)?;
        Ok(taken.is_some())
    }

    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM leases WHERE name = $1 AND holder = $2")
            .bind(name)
            .bind(holder)
            .execute(&self.duties)
            .await
            .map_err(Fault::from)?;
        Ok(())
    }

    async fn prepare_days(&self) -> Result<(), StoreError> {
        self.ensure_partitions().await
    }

    async fn expire(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        Ok(self.expire_some(before, now, limit).await?)
    }

    async fn prune(&self, before: Timestamp, now: Timestamp) -> Result<Pruned, StoreError> {
        let leftovers = leftovers::delete(&self.duties, before, now).await?;
        let days = self.drop_day(before).await?;
        Ok(Pruned { removed: days.removed, more: days.more || leftovers })
    }

    async fn erase_step(&self, limit: u32) -> Result<u64, StoreError> {
        Ok(self.erase_some(limit).await?)
    }

    async fn count_endpoints(&self) -> Result<EndpointCounts, StoreError> {
        Ok(endpoints::count(&self.duties).await?)
    }

    async fn count_usage(&self, day: Timestamp) -> Result<(), StoreError> {
        Ok(usage::count(&self.duties, day).await?)
    }
}
