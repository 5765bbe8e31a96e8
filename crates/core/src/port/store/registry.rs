//! Endpoints and what their owners chose.

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::endpoint::{CustomHeaders, Endpoint, EndpointOptions, EndpointStatus};
use crate::id::EndpointId;
use crate::secret::SecretPair;
use crate::subscription::Pattern;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// What to change in an endpoint; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointChange {
    /// Where to POST.
    pub url: Option<String>,
    /// What it wants.
    pub events: Option<Vec<Pattern>>,
    /// A note; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// What bodies are signed with.
    pub secrets: Option<SecretPair>,
    /// The headers that its requests carry besides the contract's, all of them.
    pub headers: Option<CustomHeaders>,
    /// Everything else that its owner chose, all of it.
    pub options: Option<EndpointOptions>,
    /// Change it only while it has this version.
    pub if_version: Option<i64>,
    /// `Active` also zeroes health and sets `activated_at` to the given time (rule 9).
    pub status: Option<(EndpointStatus, Timestamp)>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Updated {
    /// The endpoint as it is now.
    Done(Box<Endpoint>),
    /// It has another version than [`EndpointChange::if_version`]: read it and decide again.
    Stale,
    /// There is no such endpoint.
    Unknown,
}

/// A step of sealing all secrets anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reencrypted {
    /// Endpoints that were sealed under another key than the ring's first, and are not any more.
    pub changed: u64,
    /// The last endpoint looked at; `None` when there was none left.
    pub last: Option<EndpointId>,
}

/// Endpoints. Every change raises the endpoint's version and its tenant's.
#[async_trait]
pub trait Registry: Send + Sync {
    /// False when the tenant has `limit` endpoints, counted under the tenant's row lock (rule 30).
    async fn create_endpoint(&self, endpoint: &Endpoint, limit: Option<u32>) -> Result<bool, StoreError>;

    /// One endpoint of this tenant.
    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// The tenant's endpoints, oldest first.
    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Result<Vec<Endpoint>, StoreError>;

    /// Changes it under its row lock.
    async fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Result<Updated, StoreError>;

    /// Deletes it and cancels its waiting deliveries. False when unknown.
    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<bool, StoreError>;

    /// Seals the secrets and headers of up to `limit` endpoints of any tenant, by id after `after`, under the ring's
    /// first key. No version rises: nothing changes for those who hold a copy. One whose key is not in the ring is
    /// `Sealed`.
    async fn reencrypt(&self, after: Option<EndpointId>, limit: u32) -> Result<Reencrypted, StoreError>;
}
