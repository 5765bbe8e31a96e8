//! Lines of what tenants own: the stored rows, with secrets and headers sealed.

use serde::{Deserialize, Serialize};
use whimbrel_core::contract::ContractName;
use whimbrel_core::endpoint::{Endpoint, EndpointOptions, EndpointStatus, Health, SuspendReason};
use whimbrel_core::port::{ApiKey, Clock, EventTypeRow, StoredKey};
use whimbrel_core::sealing::{KeyRing, SealError};
use whimbrel_core::subscription::{EventType, Pattern};
use whimbrel_core::tenant::{Tenant, TenantLimits};
use whimbrel_core::{EndpointId, EventId, KeyId, TenantId, Timestamp};

use super::base64;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TenantLine {
    id: TenantId,
    name: Option<String>,
    contract: ContractName,
    limits: TenantLimits,
    erasing_before: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<Tenant> for TenantLine {
    fn from(tenant: Tenant) -> Self {
        let Tenant { id, name, contract, limits, erasing_before, created_at } = tenant;
        Self { id, name, contract, limits, erasing_before, created_at }
    }
}

impl From<TenantLine> for Tenant {
    fn from(line: TenantLine) -> Self {
        let TenantLine { id, name, contract, limits, erasing_before, created_at } = line;
        Self { id, name, contract, limits, erasing_before, created_at }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeyLine {
    id: KeyId,
    tenant: Option<TenantId>,
    name: String,
    #[serde(with = "base64")]
    hash: [u8; 32],
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyLine {
    fn from(key: ApiKey) -> Self {
        let ApiKey { id, tenant, name, hash, created_at, expires_at, last_used_at } = key;
        Self { id, tenant, name, hash, created_at, expires_at, last_used_at }
    }
}

impl From<KeyLine> for ApiKey {
    fn from(line: KeyLine) -> Self {
        let KeyLine { id, tenant, name, hash, created_at, expires_at, last_used_at } = line;
        Self { id, tenant, name, hash, created_at, expires_at, last_used_at }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EventTypeLine {
    pub(super) tenant: TenantId,
    r#type: EventType,
    description: Option<String>,
    schema: Option<String>,
    updated_at: Timestamp,
}

impl EventTypeLine {
    pub(super) fn new(tenant: TenantId, row: EventTypeRow) -> Self {
        let EventTypeRow { event_type, description, schema, updated_at } = row;
        Self { tenant, r#type: event_type, description, schema, updated_at }
    }

    pub(super) fn into_row(self) -> EventTypeRow {
        let Self { tenant: _, r#type, description, schema, updated_at } = self;
        EventTypeRow { event_type: r#type, description, schema, updated_at }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct IdempotencyLine {
    tenant: TenantId,
    #[serde(with = "base64")]
    key_hash: [u8; 32],
    #[serde(with = "base64")]
    content_hash: [u8; 32],
    event: EventId,
    expires_at: Timestamp,
}

impl From<StoredKey> for IdempotencyLine {
    fn from(key: StoredKey) -> Self {
        let StoredKey { tenant, key_hash, content_hash, event, expires_at } = key;
        Self { tenant, key_hash, content_hash, event, expires_at }
    }
}

impl From<IdempotencyLine> for StoredKey {
    fn from(line: IdempotencyLine) -> Self {
        let IdempotencyLine { tenant, key_hash, content_hash, event, expires_at } = line;
        Self { tenant, key_hash, content_hash, event, expires_at }
    }
}

/// An endpoint. What is secret leaves the source only as it lies in a store: sealed under its ring's first key.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EndpointLine {
    id: EndpointId,
    tenant: TenantId,
    contract: ContractName,
    url: String,
    events: Vec<Pattern>,
    description: Option<String>,
    #[serde(with = "base64")]
    sealed_secrets: Vec<u8>,
    #[serde(with = "base64")]
    sealed_headers: Vec<u8>,
    options: EndpointOptions,
    status: StatusLine,
    consecutive_failures: u32,
    failing_since: Option<Timestamp>,
    version: i64,
    activated_at: Option<Timestamp>,
    created_at: Timestamp,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusLine {
    Active,
    Suspended { reason: String, since: Timestamp },
    Disabled,
}

impl EndpointLine {
    pub(super) fn seal(endpoint: Endpoint, ring: &KeyRing, clock: &dyn Clock) -> Self {
        Self {
            sealed_secrets: ring.seal(&endpoint.secrets, endpoint.id, clock),
            sealed_headers: ring.seal_headers(&endpoint.headers, endpoint.id, clock),
            id: endpoint.id,
            tenant: endpoint.tenant,
            contract: endpoint.contract,
            url: endpoint.url,
            events: endpoint.events,
            description: endpoint.description,
            options: endpoint.options,
            status: endpoint.status.into(),
            consecutive_failures: endpoint.health.consecutive_failures,
            failing_since: endpoint.health.failing_since,
            version: endpoint.version,
            activated_at: endpoint.activated_at,
            created_at: endpoint.created_at,
        }
    }

    pub(super) fn open(self, ring: &KeyRing) -> Result<Endpoint, SealError> {
        Ok(Endpoint {
            secrets: ring.open(&self.sealed_secrets, self.id)?,
            headers: ring.open_headers(&self.sealed_headers, self.id)?,
            status: self.status.read().ok_or(SealError::Damaged(self.id))?,
            health: Health { consecutive_failures: self.consecutive_failures, failing_since: self.failing_since },
            id: self.id,
            tenant: self.tenant,
            contract: self.contract,
            url: self.url,
            events: self.events,
            description: self.description,
            options: self.options,
            version: self.version,
            activated_at: self.activated_at,
            created_at: self.created_at,
        })
    }
}

impl From<EndpointStatus> for StatusLine {
    fn from(status: EndpointStatus) -> Self {
        match status {
            EndpointStatus::Active => Self::Active,
            EndpointStatus::Suspended { reason, since } => Self::Suspended { reason: reason.as_str().into(), since },
            EndpointStatus::Disabled => Self::Disabled,
        }
    }
}

impl StatusLine {
    fn read(&self) -> Option<EndpointStatus> {
        Some(match self {
            Self::Active => EndpointStatus::Active,
            Self::Suspended { reason, since } => {
                EndpointStatus::Suspended { reason: SuspendReason::parse(reason)?, since: *since }
            }
            Self::Disabled => EndpointStatus::Disabled,
        })
    }
}
