use async_trait::async_trait;
use whimbrel_core::delivery::{Attempt, DeliveryRow};
use whimbrel_core::event::Event;
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::port::{DeliveryFilter, EndpointStats, Log, Page, Retried};
use whimbrel_core::tenant::TenantId;
use whimbrel_core::time::Timestamp;

use super::super::{Answer, SqliteStore, erase, log, retry, stats};

#[async_trait]
impl Log for SqliteStore {
    async fn event(&self, tenant: &TenantId, id: EventId) -> Answer<Option<Event>> {
        Ok(log::event(self.reads(), tenant, id).await?)
    }

    async fn events(&self, tenant: &TenantId, page: Page<EventId>) -> Answer<Vec<Event>> {
        Ok(log::events(self.reads(), tenant, page).await?)
    }

    async fn deliveries_of_event(&self, tenant: &TenantId, event: EventId) -> Answer<Vec<DeliveryRow>> {
        Ok(log::deliveries_of_event(self.reads(), tenant, event).await?)
    }

    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Answer<Vec<DeliveryRow>> {
        Ok(log::deliveries(self.reads(), endpoint, filter, page).await?)
    }

    async fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Answer<Option<(DeliveryRow, Vec<Attempt>)>> {
        Ok(log::delivery(self.reads(), tenant, id).await?)
    }

    async fn retry(&self, tenant: &TenantId, id: DeliveryId) -> Answer<Option<Retried>> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { retry::retry(tx, &tenant, id).await })).await
    }

    async fn replay_event(&self, tenant: &TenantId, endpoint: EndpointId, event: EventId) -> Answer<Option<Retried>> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { retry::replay_event(tx, &tenant, endpoint, event).await })).await
    }

    async fn erase_event(&self, tenant: &TenantId, id: EventId) -> Answer<bool> {
        let tenant = tenant.clone();
        self.write(move |tx| Box::pin(async move { erase::event(tx, &tenant, id).await })).await
    }

    async fn stats(&self, endpoint: EndpointId, since: Timestamp, until: Timestamp) -> Answer<EndpointStats> {
        Ok(stats::stats(self.reads(), endpoint, since, until).await?)
    }
}
