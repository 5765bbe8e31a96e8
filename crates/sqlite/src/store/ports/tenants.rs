use async_trait::async_trait;
use whimbrel_core::id::KeyId;
use whimbrel_core::port::{ApiKey, EventTypeRow, Page, Tenants};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::{Tenant, TenantId};
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, event_types, keys, tenants};

#[async_trait]
impl Tenants for SqliteStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Answer<bool> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { tenants::create(tx, &tenant).await })).await
    }

    async fn tenant(&self, id: &TenantId) -> Answer<Option<Tenant>> {
        Ok(tenants::get(self.reads(), id).await?)
    }

    async fn tenants(&self, page: Page<TenantId>) -> Answer<Vec<Tenant>> {
        Ok(tenants::list(self.reads(), page).await?)
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Answer<Option<Tenant>> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { tenants::update(tx, &tenant).await })).await
    }

    async fn delete_tenant(&self, id: &TenantId) -> Answer<bool> {
        let id = id.clone();
        self.write(move |tx| Box::pin(async move { tenants::delete(tx, &id).await })).await
    }

    async fn create_key(&self, key: &ApiKey) -> Answer<()> {
        let key = key.clone();
        self.write(move |tx| Box::pin(async move { keys::create(tx, &key).await })).await
    }

    async fn keys(&self, tenant: Option<&TenantId>) -> Answer<Vec<ApiKey>> {
        Ok(keys::list(self.reads(), tenant).await?)
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Answer<Option<ApiKey>> {
        Ok(keys::by_hash(self.reads(), hash).await?)
    }

    async fn touch_key(&self, id: KeyId, at: Timestamp) -> Answer<()> {
        self.write(move |tx| Box::pin(keys::touch(tx, id, at))).await
    }

    async fn delete_key(&self, id: KeyId) -> Answer<bool> {
        self.write(move |tx| Box::pin(keys::delete(tx, id))).await
    }

    async fn put_event_type(&self, tenant: &TenantId, row: &EventTypeRow) -> Answer<bool> {
        let (tenant, row) = (tenant.clone(), row.clone());
        self.write(move |tx| Box::pin(async move { event_types::put(tx, &tenant, &row).await })).await
    }

    async fn event_types(&self, tenant: &TenantId) -> Answer<Vec<EventTypeRow>> {
        Ok(event_types::list(self.reads(), tenant).await?)
    }

    async fn delete_event_type(&self, tenant: &TenantId, event_type: &EventType) -> Answer<bool> {
        let (tenant, event_type) = (tenant.clone(), event_type.clone());
        self.write(move |tx| Box::pin(async move { event_types::delete(tx, &tenant, &event_type).await })).await
    }

    async fn erase_tenant(&self, tenant: &TenantId, before: Timestamp) -> Answer<bool> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { tenants::erase(tx, &tenant, before).await })).await
    }
}
