use async_trait::async_trait;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{EndpointChange, Page, Reencrypted, Registry, Updated};
use whimbrel_core::tenant::TenantId;

use super::super::registry::{self, Sealed};
use super::super::{Answer, SqliteStore, reencrypt};

#[async_trait]
impl Registry for SqliteStore {
    async fn create_endpoint(&self, endpoint: &Endpoint, limit: Option<u32>) -> Answer<bool> {
        let (secrets, headers) = (Some(&endpoint.secrets), Some(&endpoint.headers));
        let sealed = Sealed::new(&self.0.ring, &*self.0.clock, endpoint.id, secrets, headers);
        let endpoint = endpoint.clone();
        self.write(move |tx| Box::pin(async move { registry::create(tx, &endpoint, &sealed, limit).await })).await
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Answer<Option<Endpoint>> {
        Ok(registry::get(self.reads(), &self.0.ring, tenant, id).await?)
    }

    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Answer<Vec<Endpoint>> {
        Ok(registry::list(self.reads(), &self.0.ring, tenant, page).await?)
    }

    async fn update_endpoint(&self, tenant: &TenantId, id: EndpointId, change: &EndpointChange) -> Answer<Updated> {
        let (secrets, headers) = (change.secrets.as_ref(), change.headers.as_ref());
        let sealed = Sealed::new(&self.0.ring, &*self.0.clock, id, secrets, headers);
        let (tenant, change, ring) = (tenant.clone(), change.clone(), self.0.ring.clone());
        self.write(move |tx| {
            Box::pin(async move { registry::update(tx, &ring, (&tenant, id), &change, &sealed).await })
        })
        .await
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Answer<bool> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { registry::delete(tx, &tenant, id).await })).await
    }

    async fn reencrypt(&self, after: Option<EndpointId>, limit: u32) -> Answer<Reencrypted> {
        let (ring, clock) = (self.0.ring.clone(), self.0.clock.clone());
        self.write(move |tx| Box::pin(async move { reencrypt::reencrypt(tx, &ring, &*clock, after, limit).await }))
            .await
    }
}
