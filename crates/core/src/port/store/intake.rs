//! What ingest needs of the store.

use async_trait::async_trait;

use super::StoreError;
use crate::delivery::Delivery;
use crate::endpoint::Subscriber;
use crate::event::Event;
use crate::id::EventId;
use crate::subscription::EventType;
use crate::tenant::{TenantHead, TenantId};
use crate::time::Timestamp;

/// Asks for an idempotency key (rule 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Keys are a tenant's own.
    pub tenant: TenantId,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// SHA-256 of type and raw data.
    pub content_hash: [u8; 32],
    /// The id the event gets if the key is new.
    pub event: EventId,
    /// When the key may be used again.
    pub expires_at: Timestamp,
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The key is now this event's.
    Fresh,
    /// The same content came under this key before, as this event.
    Repeat(EventId),
    /// Other content came under this key before.
    Conflict,
}

/// An event and the deliveries it makes.
#[derive(Debug, Clone)]
pub struct Fanout {
    /// The event.
    pub event: Event,
    /// One per endpoint that gets it: `Pending` or `Held`.
    pub deliveries: Vec<Delivery>,
    /// When the sweep looks at the pending ones.
    pub sweep_at: Timestamp,
}

/// What the store made of a [`Fanout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event was stored before: its deliveries are those of the first time (rule 21).
    pub repeated: bool,
    /// The deliveries whose first attempt is to be published.
    pub pending: Vec<Delivery>,
}

/// A tenant's side of fan-out, as of one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscriptions {
    /// What [`crate::tenant::TenantHead::endpoints_version`] was when this was read; 0 for an unknown tenant.
    pub version: i64,
    /// The tenant's endpoints.
    pub subscribers: Vec<Subscriber>,
    /// The schemas of its event types, as JSON text.
    pub schemas: Vec<(EventType, String)>,
}

/// What ingest needs (and the API, for keys).
#[async_trait]
pub trait Intake: Send + Sync {
    /// The known ones among `ids`, in any order.
    async fn tenant_heads(&self, ids: &[TenantId]) -> Result<Vec<TenantHead>, StoreError>;

    /// The tenant's endpoints and schemas, with the version they were read at. Empty for an unknown tenant.
    async fn subscriptions(&self, tenant: &TenantId) -> Result<Subscriptions, StoreError>;

    /// Claims keys, in order: a key that stands twice in `claims` is fresh the first time. An expired
    /// key counts as free.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, StoreError>;

    /// Stores events and their deliveries if all these tenants are at these versions
    /// ([`crate::tenant::TenantHead::endpoints_version`]); one answer per event, in order. An event that is stored
    /// already changes nothing. Otherwise, `None`: a tenant has changed or is gone, and nothing was stored.
    async fn accept_as_of(
        &self,
        versions: &[(TenantId, i64)],
        batch: &[Fanout],
    ) -> Result<Option<Vec<Accepted>>, StoreError>;

    /// [`Intake::accept_as_of`], whatever has changed.
    async fn accept(&self, batch: &[Fanout]) -> Result<Vec<Accepted>, StoreError> {
        let accepted = self.accept_as_of(&[], batch).await?;
        accepted.ok_or_else(|| StoreError::Refused("the version of no tenant is another than it was".to_owned()))
    }
}
