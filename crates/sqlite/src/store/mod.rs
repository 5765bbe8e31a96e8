//! The store's side: the port's methods, each leading to the function that runs its statements. Reads go to the
//! pool, writes to the writer, which needs what it writes as its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_core::delivery::{Attempt, Delivery, DeliveryRow, WaitReason};
use whimbrel_core::endpoint::{Endpoint, Subscriber};
use whimbrel_core::event::Event;
use whimbrel_core::id::{DeliveryId, EndpointId, EventId, KeyId};
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{
    Accepted, ApiKey, Claim, Claimed, Decide, Decision, DeliveryFilter, EndpointChange, Fanout, Intake, Ledger, Log,
    Lookup, Page, Registry, Retried, Store, StoreError, Tenants, ToPublish,
};
use whimbrel_core::tenant::{Tenant, TenantHead, TenantId};
use whimbrel_core::time::Timestamp;

use crate::engine::Shared;
use crate::fault::Fault;

mod accept;
mod cancel;
mod claim;
mod endpoint_rows;
mod intake;
mod keys;
mod log;
mod lookup;
mod registry;
mod retry;
mod rows;
mod settle;
mod sweep;
mod tenants;
mod to_publish;

/// The store's side of an engine.
pub(crate) struct SqliteStore(pub(crate) Arc<Shared>);

type Answer<T> = Result<T, StoreError>;

#[async_trait]
impl Intake for SqliteStore {
    async fn tenant_heads(&self, ids: &[TenantId]) -> Answer<Vec<TenantHead>> {
        Ok(intake::tenant_heads(&self.0.reads, ids).await?)
    }

    async fn subscribers(&self, tenant: &TenantId) -> Answer<(i64, Vec<Subscriber>)> {
        Ok(intake::subscribers(&self.0.reads, tenant).await?)
    }

    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Answer<Vec<Claimed>> {
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let claims = claims.to_vec();
        self.0.writer.call(move |tx| Box::pin(async move { claim::claim(tx, &claims, now).await })).await
    }

    async fn accept(&self, batch: &[Fanout]) -> Answer<Vec<Accepted>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let batch = batch.to_vec();
        self.0.writer.call(move |tx| Box::pin(async move { accept::accept(tx, &batch).await })).await
    }
}

#[async_trait]
impl Lookup for SqliteStore {
    async fn endpoints(&self, ids: &[EndpointId]) -> Answer<Vec<Endpoint>> {
        Ok(lookup::endpoints(&self.0.reads, &self.0.ring, ids).await?)
    }

    async fn positions(&self, ids: &[DeliveryId]) -> Answer<Vec<Delivery>> {
        Ok(lookup::positions(&self.0.reads, ids).await?)
    }
}

#[async_trait]
impl Ledger for SqliteStore {
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Answer<Decision> {
        settle::settle(&self.0.writer, outcomes, decide).await
    }

    async fn to_publish(&self, ids: &[DeliveryId]) -> Answer<Vec<ToPublish>> {
        Ok(to_publish::to_publish(&self.0.reads, ids).await?)
    }

    async fn overdue(&self, now: Timestamp, base: Duration, limit: u32) -> Answer<Vec<Delivery>> {
        self.0.writer.call(move |tx| Box::pin(sweep::overdue(tx, now, base, limit))).await
    }

    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Answer<Vec<(Delivery, WaitReason)>> {
        sweep::take_waiting(&self.0.reads, &self.0.writer, sweep_at, limit).await
    }
}

#[async_trait]
impl Tenants for SqliteStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Answer<bool> {
        let tenant = tenant.clone();
        self.0.writer.call(move |tx| Box::pin(async move { tenants::create(tx, &tenant).await })).await
    }

    async fn tenant(&self, id: &TenantId) -> Answer<Option<Tenant>> {
        Ok(tenants::get(&self.0.reads, id).await?)
    }

    async fn tenants(&self, page: Page<TenantId>) -> Answer<Vec<Tenant>> {
        Ok(tenants::list(&self.0.reads, page).await?)
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Answer<Option<Tenant>> {
        let tenant = tenant.clone();
        self.0.writer.call(move |tx| Box::pin(async move { tenants::update(tx, &tenant).await })).await
    }

    async fn delete_tenant(&self, id: &TenantId) -> Answer<bool> {
        let id = id.clone();
        self.0.writer.call(move |tx| Box::pin(async move { tenants::delete(tx, &id).await })).await
    }

    async fn create_key(&self, key: &ApiKey) -> Answer<()> {
        let key = key.clone();
        self.0.writer.call(move |tx| Box::pin(async move { keys::create(tx, &key).await })).await
    }

    async fn keys(&self, tenant: Option<&TenantId>) -> Answer<Vec<ApiKey>> {
        Ok(keys::list(&self.0.reads, tenant).await?)
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Answer<Option<ApiKey>> {
        Ok(keys::by_hash(&self.0.reads, hash).await?)
    }

    async fn delete_key(&self, id: KeyId) -> Answer<bool> {
        self.0.writer.call(move |tx| Box::pin(keys::delete(tx, id))).await
    }
}

#[async_trait]
impl Registry for SqliteStore {
    async fn create_endpoint(&self, endpoint: &Endpoint, limit: Option<u32>) -> Answer<bool> {
        let sealed = self.0.ring.seal(&endpoint.secrets, endpoint.id, &*self.0.clock);
        let endpoint = endpoint.clone();
        self.0
            .writer
            .call(move |tx| Box::pin(async move { registry::create(tx, &endpoint, &sealed, limit).await }))
            .await
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Answer<Option<Endpoint>> {
        Ok(registry::get(&self.0.reads, &self.0.ring, tenant, id).await?)
    }

    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Answer<Vec<Endpoint>> {
        Ok(registry::list(&self.0.reads, &self.0.ring, tenant, page).await?)
    }

    async fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Answer<Option<Endpoint>> {
        let sealed = change.secrets.as_ref().map(|secrets| self.0.ring.seal(secrets, id, &*self.0.clock));
        let (tenant, change, ring) = (tenant.clone(), change.clone(), self.0.ring.clone());
        self.0
            .writer
            .call(move |tx| {
                Box::pin(async move { registry::update(tx, &ring, (&tenant, id), &change, sealed.as_deref()).await })
            })
            .await
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Answer<bool> {
        let tenant = tenant.clone();
        self.0.writer.call(move |tx| Box::pin(async move { registry::delete(tx, &tenant, id).await })).await
    }
}

#[async_trait]
impl Log for SqliteStore {
    async fn event(&self, tenant: &TenantId, id: EventId) -> Answer<Option<Event>> {
        Ok(log::event(&self.0.reads, tenant, id).await?)
    }

    async fn events(&self, tenant: &TenantId, page: Page<EventId>) -> Answer<Vec<Event>> {
        Ok(log::events(&self.0.reads, tenant, page).await?)
    }

    async fn deliveries_of_event(&self, tenant: &TenantId, event: EventId) -> Answer<Vec<DeliveryRow>> {
        Ok(log::deliveries_of_event(&self.0.reads, tenant, event).await?)
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Answer<Vec<DeliveryRow>> {
        Ok(log::deliveries(&self.0.reads, endpoint, filter, page).await?)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Answer<Option<(DeliveryRow, Vec<Attempt>)>> {
        Ok(log::delivery(&self.0.reads, tenant, id).await?)
    }

    async fn retry(&self, tenant: &TenantId, id: DeliveryId) -> Answer<Option<Retried>> {
        let tenant = tenant.clone();
        self.0.writer.call(move |tx| Box::pin(async move { retry::retry(tx, &tenant, id).await })).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Answer<()> {
        sqlx::query("SELECT 1").execute(&self.0.reads).await.map_err(Fault::from)?;
        Ok(())
    }

    async fn close(&self) {
        self.0.close(&self.0.store_closed).await;
    }
}
