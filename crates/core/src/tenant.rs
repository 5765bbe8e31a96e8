//! Tenants: whose events and endpoints these are.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::contract::ContractName;
use crate::time::Timestamp;

/// A tenant's id, chosen by the caller: 1–64 of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

/// Why a text is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a tenant id: 1 to 64 characters of a-z, 0-9, _ and -")]
pub struct TenantIdError(String);

impl TenantId {
    /// Checks the form.
    pub fn try_new(text: &str) -> Result<Self, TenantIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(TenantIdError(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    /// The tenant `default`, which exists from the first start.
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        Self::try_new(text)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::try_new(&text).map_err(serde::de::Error::custom)
    }
}

/// A tenant as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The caller's id.
    pub id: TenantId,
    /// A name for people.
    pub name: Option<String>,
    /// What this tenant's receivers see.
    pub contract: ContractName,
    /// What it may have and send, where that is less than its contract allows.
    pub limits: TenantLimits,
    /// While its payloads are being erased: those of all events accepted before this.
    pub erasing_before: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Tenant {
    /// A new one, without a name and limits of its own.
    pub fn new(id: TenantId, contract: ContractName, created_at: Timestamp) -> Self {
        Self { id, name: None, contract, limits: TenantLimits::default(), erasing_before: None, created_at }
    }
}

/// A tenant's own limits; each `None` leaves it to the contract, or means no limit. A store keeps them as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TenantLimits {
    /// Endpoints at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<u32>,
    /// Events a second at most, per API key and API process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<u32>,
    /// Bytes of a rendered payload at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_bytes: Option<usize>,
}

/// What intake needs to know of a tenant, cheap enough to read once a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantHead {
    /// Whose.
    pub id: TenantId,
    /// What its receivers see.
    pub contract: ContractName,
    /// Its own limits.
    pub limits: TenantLimits,
    /// Rises with every change of the tenant, or of any of its endpoints or event types, so that a copy of this head and
    /// of its subscriptions can be kept.
    pub endpoints_version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_checked() {
        assert!(TenantId::try_new("acme_2-eu").is_ok());
        for text in ["", "Acme", "a b", "é", &"a".repeat(65)] {
            assert!(TenantId::try_new(text).is_err(), "{text}");
        }
    }
}
