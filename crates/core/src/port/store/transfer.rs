//! The log in and out, for moving from one engine to the other. Tenants, keys and endpoints go through their own
//! ports.

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::delivery::{Attempt, DeliveryRow};
use crate::event::Event;
use crate::id::EventId;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// An event with everything the log knows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// The event.
    pub event: Event,
    /// Its deliveries, by id.
    pub deliveries: Vec<LoggedDelivery>,
}

/// A delivery with its attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedDelivery {
    /// Where it stands and how its last attempt went.
    pub row: DeliveryRow,
    /// In order.
    pub attempts: Vec<Attempt>,
}

/// A used idempotency key (rule 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Whose.
    pub tenant: TenantId,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// SHA-256 of type and raw data.
    pub content_hash: [u8; 32],
    /// The event that came under it.
    pub event: EventId,
    /// When it may be used again.
    pub expires_at: Timestamp,
}

/// The log in and out.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Every tenant's events with their deliveries and attempts, by id.
    async fn log_page(&self, page: Page<EventId>) -> Result<Vec<LoggedEvent>, StoreError>;

    /// Stores them; what is there already stays as it is. Pending deliveries are due for the sweep at `sweep_at`, and
    /// retrying ones when their next attempt is, if that is later: their jobs stayed behind. Says how many events were
    /// new.
    async fn load_log(&self, events: &[LoggedEvent], sweep_at: Timestamp) -> Result<u64, StoreError>;

    /// Every tenant's unexpired idempotency keys, by tenant and hash.
    async fn keys_page(&self, page: Page<(TenantId, [u8; 32])>) -> Result<Vec<StoredKey>, StoreError>;

    /// Stores them; what is there already stays as it is.
    async fn load_keys(&self, keys: &[StoredKey]) -> Result<(), StoreError>;
}
