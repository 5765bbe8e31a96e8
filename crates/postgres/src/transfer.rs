//! The log in and out.

mod dump;
mod load;

use async_trait::async_trait;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{LoggedEvent, Page, StoreError, StoredKey, Transfer};
use whimbrel_core::tenant::TenantId;

use crate::fault::{Fault, is_missing_partition};
use crate::open::PostgresStore;

#[async_trait]
impl Transfer for PostgresStore {
    async fn log_page(&self, page: Page<EventId>) -> Result<Vec<LoggedEvent>, StoreError> {
        Ok(dump::log_page(&self.pool, page).await?)
    }

    async fn load_log(&self, events: &[LoggedEvent], sweep_at: Timestamp) -> Result<u64, StoreError> {
        match load::log(&self.pool, events, sweep_at).await {
            Err(Fault::Sql(error)) if is_missing_partition(&error) => {
                self.ensure_days(events.iter().map(|logged| logged.event.id.created_at())).await?;
                Ok(load::log(&self.pool, events, sweep_at).await?)
            }
            answer => Ok(answer?),
        }
    }

    async fn keys_page(&self, page: Page<(TenantId, [u8; 32])>) -> Result<Vec<StoredKey>, StoreError> {
        Ok(dump::keys_page(&self.pool, page, self.clock.now()).await?)
    }

    async fn load_keys(&self, keys: &[StoredKey]) -> Result<(), StoreError> {
        Ok(load::keys(&self.pool, keys).await?)
    }
}
