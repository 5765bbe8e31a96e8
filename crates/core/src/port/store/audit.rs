//! Who did what, and how much each tenant used.

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::id::AuditId;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// One change that someone made over the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id, which holds the time.
    pub id: AuditId,
    /// Who: a key's id, or `admin` for the configured admin key.
    pub actor: String,
    /// For which tenant, if for one.
    pub tenant: Option<TenantId>,
    /// What, as method and route: `POST /v1/webhooks/{id}/activate`.
    pub action: String,
    /// On what, as the request's path.
    pub subject: String,
    /// The answer's status.
    pub status: u16,
    /// The request's id.
    pub request_id: String,
}

/// What a tenant used on one UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// Whose.
    pub tenant: TenantId,
    /// The day's first moment.
    pub day: Timestamp,
    /// Events accepted.
    pub events: u64,
    /// Deliveries that they made.
    pub deliveries: u64,
    /// Attempts recorded for those deliveries until the day was counted last.
    pub attempts: u64,
}

/// The audit log and the usage counts.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Stores an entry.
    async fn record(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Entries about one tenant or all, newest first.
    async fn audit(&self, tenant: Option<&TenantId>, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError>;

    /// A tenant's counted days at or after `since` and before `until`, oldest first.
    async fn usage(&self, tenant: &TenantId, since: Timestamp, until: Timestamp) -> Result<Vec<UsageRow>, StoreError>;
}
