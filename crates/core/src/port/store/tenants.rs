//! Tenants, their keys and their event types.

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::id::KeyId;
use crate::subscription::EventType;
use crate::tenant::{Tenant, TenantId};
use crate::time::Timestamp;

/// A key as stored: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whom it acts for; `None` is an admin key.
    pub tenant: Option<TenantId>,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute or so.
    pub last_used_at: Option<Timestamp>,
}

/// What a tenant says about one of its event types, besides its contract's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypeRow {
    /// Which.
    pub event_type: EventType,
    /// What it is, for people.
    pub description: Option<String>,
    /// The JSON Schema that its data must match, as JSON text.
    pub schema: Option<String>,
    /// When this was last changed.
    pub updated_at: Timestamp,
}

/// Tenants and keys.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// False when the id is taken.
    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool, StoreError>;

    /// One tenant.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError>;

    /// By id.
    async fn tenants(&self, page: Page<TenantId>) -> Result<Vec<Tenant>, StoreError>;

    /// Sets name, contract and limits; `Ok(None)` when unknown. The contract may only change while the tenant
    /// has no endpoint (rule 26): otherwise the stored tenant comes back with its old contract.
    async fn update_tenant(&self, tenant: &Tenant) -> Result<Option<Tenant>, StoreError>;

    /// Deletes the tenant, its keys and endpoints, and cancels what is waiting. False when unknown.
    async fn delete_tenant(&self, id: &TenantId) -> Result<bool, StoreError>;

    /// Stores a key.
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// The keys of a tenant, oldest first; `None` for admin keys.
    async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, StoreError>;

    /// The key with this hash.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// Notes that the key was used at `at`, unless a later use is noted already.
    async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError>;

    /// False when unknown.
    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError>;

    /// Sets what the tenant says about an event type, and raises its `endpoints_version`. False for an unknown
    /// tenant.
    async fn put_event_type(&self, tenant: &TenantId, row: &EventTypeRow) -> Result<bool, StoreError>;

    /// By name.
    async fn event_types(&self, tenant: &TenantId) -> Result<Vec<EventTypeRow>, StoreError>;

    /// The same for a type to forget. False when nothing was said about it.
    async fn delete_event_type(&self, tenant: &TenantId, event_type: &EventType) -> Result<bool, StoreError>;

    /// Asks for the payloads of all the tenant's events accepted before `before` to be erased, step by step
    /// ([`super::Upkeep::erase_step`]). A later request replaces an unfinished one by the later time. False when
    /// unknown.
    async fn erase_tenant(&self, tenant: &TenantId, before: Timestamp) -> Result<bool, StoreError>;
}
