//! The log: events, deliveries, attempts, and what people do with them.

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::delivery::{Attempt, Delivery, DeliveryRow};
use crate::event::Event;
use crate::id::{DeliveryId, EndpointId, EventId};
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// Which deliveries of an endpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryFilter {
    /// Only these states, by their stored word.
    pub states: Vec<&'static str>,
    /// Only this type.
    pub event_type: Option<EventType>,
    /// Only events accepted at or after this.
    pub since: Option<Timestamp>,
    /// Only events accepted before this.
    pub until: Option<Timestamp>,
}

/// How an endpoint did over a while.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Deliveries by the word of their state, of events accepted in the window; states without any are missing.
    pub deliveries: Vec<(String, u64)>,
    /// Attempts recorded for them.
    pub attempts: u64,
    /// Those that failed.
    pub failed_attempts: u64,
    /// The median of the successful attempts' durations, in milliseconds; `None` without any.
    pub p50_ms: Option<u32>,
    /// Their 95th percentile.
    pub p95_ms: Option<u32>,
}

/// What came of a manual retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits for the tracker, in a new round.
    Waiting(Delivery),
    /// It cannot be retried as it stands: an attempt is already on its way, or its endpoint takes none.
    Not(Delivery),
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync {
    /// One event of this tenant.
    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Event>, StoreError>;

    /// The tenant's events, newest first.
    async fn events(&self, tenant: &TenantId, page: Page<EventId>) -> Result<Vec<Event>, StoreError>;

    /// An event's deliveries, by id.
    async fn deliveries_of_event(&self, tenant: &TenantId, event: EventId) -> Result<Vec<DeliveryRow>, StoreError>;

    /// An endpoint's deliveries, newest first.
    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<DeliveryRow>, StoreError>;

    /// One delivery of this tenant with its attempts in order.
    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRow, Vec<Attempt>)>, StoreError>;

    /// Begins a new round (rule 1), whose first attempt number is one past the awaited or last one, and
    /// leaves the delivery `Waiting(Manual)`. From `Retrying`, `Failed` and `Succeeded` only, while the
    /// endpoint exists and is active and the payload was not erased. `Ok(None)` when unknown.
    async fn retry(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Retried>, StoreError>;

    /// The same for one event at one endpoint of this tenant, which need not have been subscribed to it: a delivery
    /// that does not exist yet is made, `Waiting(Manual)` in its first round. `Ok(None)` when event or endpoint is
    /// unknown.
    async fn replay_event(
        &self,
        tenant: &TenantId,
        endpoint: EndpointId,
        event: EventId,
    ) -> Result<Option<Retried>, StoreError>;

    /// Erases an event's payload and what its receivers answered; its deliveries that are not at their end are
    /// cancelled. The rows stay. Idempotent; false when unknown.
    async fn erase_event(&self, tenant: &TenantId, id: EventId) -> Result<bool, StoreError>;

    /// An endpoint's figures over events accepted at or after `since` and before `until`.
    async fn stats(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<EndpointStats, StoreError>;
}
