use async_trait::async_trait;
use whimbrel_core::port::{Accepted, Claim, Claimed, Fanout, Intake, Subscriptions};
use whimbrel_core::tenant::{TenantHead, TenantId};
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, accept, claim, intake};

#[async_trait]
impl Intake for SqliteStore {
    async fn tenant_heads(&self, ids: &[TenantId]) -> Answer<Vec<TenantHead>> {
        Ok(intake::tenant_heads(self.reads(), ids).await?)
    }

    async fn subscriptions(&self, tenant: &TenantId) -> Answer<Subscriptions> {
        Ok(intake::subscriptions(self.reads(), tenant).await?)
    }

    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Answer<Vec<Claimed>> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let claims = claims.to_vec();
        self.write(move |tx| Box::pin(async move { claim::claim(tx, &claims, now).await })).await
    }

    async fn accept_as_of(&self, versions: &[(TenantId, i64)], batch: &[Fanout]) -> Answer<Option<Vec<Accepted>>> {
        if batch.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (versions, batch) = (versions.to_vec(), batch.to_vec());
        self.write(move |tx| Box::pin(async move { accept::accept(tx, &versions, &batch).await })).await
    }
}
