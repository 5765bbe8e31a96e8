use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;
use whimbrel_core::port::{EndpointCounts, Pruned, Upkeep};
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, upkeep};

#[async_trait]
impl Upkeep for SqliteStore {
    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Answer<bool> {
        let (name, now) = (name.to_owned(), self.0.clock.now());
        self.write(move |tx| Box::pin(async move { upkeep::lease(tx, &name, holder, now, ttl).await })).await
    }

    async fn release_lease(&self, name: &str, holder: Uuid) -> Answer<()> {
        let name = name.to_owned();
        self.write(move |tx| Box::pin(async move { upkeep::release(tx, &name, holder).await })).await
    }

    async fn prepare_days(&self) -> Answer<()> {
        Ok(())
    }

    async fn expire(&self, before: Timestamp, now: Timestamp, limit: u32) -> Answer<u64> {
        upkeep::expire(self.reads(), &self.0.writer, before, now, limit).await
    }

    async fn prune(&self, before: Timestamp, now: Timestamp) -> Answer<Pruned> {
        upkeep::prune(self.reads(), &self.0.writer, before, now).await
    }

    async fn erase_step(&self, limit: u32) -> Answer<u64> {
        upkeep::erase_step(self.reads(), &self.0.writer, limit).await
    }

    async fn count_endpoints(&self) -> Answer<EndpointCounts> {
        Ok(upkeep::count_endpoints(self.reads()).await?)
    }

    async fn count_usage(&self, day: Timestamp) -> Answer<()> {
        upkeep::count(self.reads(), &self.0.writer, day).await
    }
}
