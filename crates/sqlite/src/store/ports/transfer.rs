use async_trait::async_trait;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{LoggedEvent, Page, StoredKey, Transfer};
use whimbrel_core::tenant::TenantId;
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, transfer};

#[async_trait]
impl Transfer for SqliteStore {
    async fn log_page(&self, page: Page<EventId>) -> Answer<Vec<LoggedEvent>> {
        Ok(transfer::log_page(self.reads(), page).await?)
    }

    async fn load_log(&self, events: &[LoggedEvent], sweep_at: Timestamp) -> Answer<u64> {
        let events = events.to_vec();
        self.write(move |tx| Box::pin(async move { transfer::load_log(tx, &events, sweep_at).await })).await
    }

    async fn keys_page(&self, page: Page<(TenantId, [u8; 32])>) -> Answer<Vec<StoredKey>> {
        Ok(transfer::keys_page(self.reads(), &page, self.0.clock.now()).await?)
    }

    async fn load_keys(&self, keys: &[StoredKey]) -> Answer<()> {
        let keys = keys.to_vec();
        self.write(move |tx| Box::pin(async move { transfer::load_keys(tx, &keys).await })).await
    }
}
