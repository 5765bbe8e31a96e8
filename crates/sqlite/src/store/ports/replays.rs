use async_trait::async_trait;
use whimbrel_core::id::{EndpointId, ReplayId};
use whimbrel_core::port::{Advance, Forgotten, Page, Replays};
use whimbrel_core::replay::Replay;
use whimbrel_core::tenant::TenantId;
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, replay};

#[async_trait]
impl Replays for SqliteStore {
    async fn start_replay(&self, replay: &Replay) -> Answer<Option<Replay>> {
        replay::start(self.reads(), &self.0.writer, replay).await
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Answer<Option<Replay>> {
        Ok(replay::get(self.reads(), tenant, id).await?)
    }

    async fn replays(
        &self,
        tenant: &TenantId,
        endpoint: Option<EndpointId>,
        page: Page<ReplayId>,
    ) -> Answer<Vec<Replay>> {
        Ok(replay::list(self.reads(), tenant, endpoint, page).await?)
    }

    async fn cancel_replay(&self, tenant: &TenantId, id: ReplayId, now: Timestamp) -> Answer<Option<Replay>> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { replay::cancel(tx, &tenant, id, now).await })).await
    }

    async fn running_replays(&self, page: Page<ReplayId>) -> Answer<Vec<Replay>> {
        Ok(replay::running(self.reads(), page).await?)
    }

    async fn advance_replay(
        &self,
        replay: ReplayId,
        window: u32,
        now: Timestamp,
        sweep_at: Timestamp,
    ) -> Answer<Advance> {
        let step = replay::Step { replay, window, now, sweep_at };
        self.write(move |tx| Box::pin(replay::advance(tx, step))).await
    }

    async fn forgotten(&self, limit: u32) -> Answer<Vec<Forgotten>> {
        Ok(replay::forgotten(self.reads(), limit).await?)
    }
}
