//! What a tenant may have and send.

use serde::Deserialize;

use super::check::{Invalid, within};

/// The largest payload limit a contract can set, in bytes.
const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// What a tenant may have and send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints per tenant; `None` is any number.
    pub endpoints: Option<u32>,
    /// The largest rendered body, in bytes (rule 34).
    pub payload_bytes: usize,
    /// From this size on the publisher is warned.
    pub payload_warn_bytes: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    endpoints_per_tenant: Option<u32>,
    payload_bytes_max: usize,
    payload_bytes_warn: Option<usize>,
}

impl RawLimits {
    pub(super) fn check(self) -> Result<Limits, Invalid> {
        let payload_bytes = within("limits.payload_bytes_max", self.payload_bytes_max, 1..=PAYLOAD_BYTES_MAX)?;
        if let Some(bytes) = self.payload_bytes_warn {
            within("limits.payload_bytes_warn", bytes, 1..=payload_bytes)?;
        }
        if let Some(endpoints) = self.endpoints_per_tenant {
            within("limits.endpoints_per_tenant", endpoints, 1..=u32::MAX)?;
        }
        Ok(Limits { endpoints: self.endpoints_per_tenant, payload_bytes, payload_warn_bytes: self.payload_bytes_warn })
    }
}
