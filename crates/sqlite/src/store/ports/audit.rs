use async_trait::async_trait;
use whimbrel_core::id::AuditId;
use whimbrel_core::port::{Audit, AuditEntry, Page, UsageRow};
use whimbrel_core::tenant::TenantId;
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, audit};

#[async_trait]
impl Audit for SqliteStore {
    async fn record(&self, entry: &AuditEntry) -> Answer<()> {
        let entry = entry.clone();
        self.write(move |tx| Box::pin(async move { audit::record(tx, &entry).await })).await
    }

    async fn audit(&self, tenant: Option<&TenantId>, page: Page<AuditId>) -> Answer<Vec<AuditEntry>> {
        Ok(audit::list(self.reads(), tenant, page).await?)
    }

    async fn usage(&self, tenant: &TenantId, since: Timestamp, until: Timestamp) -> Answer<Vec<UsageRow>> {
        Ok(audit::usage(self.reads(), tenant, since, until).await?)
    }
}
