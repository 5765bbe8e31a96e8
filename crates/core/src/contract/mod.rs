//! Contracts: everything a receiver can observe, as data. One TOML file each; no contract is special in
//! the code.

mod file;
mod headers;
mod samples;
mod secret_form;
mod set;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::subscription::{EventType, Pattern};

pub use file::ContractError;
pub use headers::{Encoding, HeaderValue, KeyForm, Part, Rotation, SignatureForm, SignatureRule, Template};
pub use secret_form::{Generate, SecretForm};
pub use set::ContractSet;

/// A contract's name: 1–64 of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractName(Arc<str>);

/// Why a text is no contract name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a contract name: 1 to 64 characters of a-z, 0-9, _ and -")]
pub struct ContractNameError(String);

impl ContractName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContractName {
    type Err = ContractNameError;

    fn from_str(text: &str) -> Result<Self, ContractNameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(ContractNameError(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ContractName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ContractName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How the body is made of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyForm {
    /// The publisher's data itself.
    Bare,
    /// An object around it, with these fields in this order.
    Envelope(Vec<(String, EnvelopeField)>),
}

/// What an envelope's field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvelopeField {
    /// The event's id.
    EventId,
    /// Its type.
    EventType,
    /// When it happened: RFC 3339, UTC, whole seconds.
    OccurredAt,
    /// The publisher's data.
    Data,
}

/// How the publisher's data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// Byte for byte as published.
    #[default]
    Raw,
    /// As `JSON.stringify(JSON.parse(data))` prints it.
    Compact,
}

/// When an endpoint is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suspension {
    /// After so many failed attempts in a row, over all its deliveries.
    pub consecutive_failures: Option<u32>,
    /// After nothing but failures for a period.
    pub failing_for: Option<FailingFor>,
    /// At once, on these statuses.
    pub gone_statuses: Vec<u16>,
    /// These statuses ask for a slower pace.
    pub throttle_statuses: Vec<u16>,
}

/// See [`Suspension::failing_for`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailingFor {
    /// From the first failure since the last success.
    pub period: Duration,
    /// And at least so many failed attempts.
    pub attempts_min: u32,
}

/// A type of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Its name.
    pub event_type: EventType,
    /// A line about it.
    pub description: String,
    /// A sample of its data, byte for byte.
    pub example: Option<String>,
}

/// Everything a receiver can observe. Made by [`Contract::parse`], which checks every invariant.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    name: ContractName,
    title: String,
    description: String,
    body: BodyForm,
    data_format: DataFormat,
    headers: Vec<(String, HeaderValue)>,
    signature: SignatureRule,
    secret: SecretForm,
    timeout: Duration,
    https_only: bool,
    response_capture_bytes: usize,
    payload_bytes_max: usize,
    payload_bytes_warn: Option<usize>,
    delays: Vec<Duration>,
    jitter: f64,
    suspension: Suspension,
    endpoints_per_tenant: Option<u32>,
    catalogue_closed: bool,
    catalogue: Vec<CatalogueEntry>,
}

/// Every contract's test event, besides its catalogue.
pub const TEST_EVENT: &str = "webhook.test";

impl Contract {
    /// Its name.
    pub fn name(&self) -> &ContractName {
        &self.name
    }

    /// A name for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// A sentence for people.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How bodies are made.
    pub fn body(&self) -> &BodyForm {
        &self.body
    }

    /// How data is written.
    pub fn data_format(&self) -> DataFormat {
        self.data_format
    }

    /// Headers besides the signature's, in order.
    pub fn headers(&self) -> &[(String, HeaderValue)] {
        &self.headers
    }

    /// How bodies are signed.
    pub fn signature(&self) -> &SignatureRule {
        &self.signature
    }

    /// What secrets look like.
    pub fn secret(&self) -> &SecretForm {
        &self.secret
    }

    /// From connect to the response's status line.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether plain HTTP is refused.
    pub fn https_only(&self) -> bool {
        self.https_only
    }

    /// Kept of a response's body.
    pub fn response_capture_bytes(&self) -> usize {
        self.response_capture_bytes
    }

    /// The largest rendered body (rule 34).
    pub fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    /// Larger bodies are worth a warning.
    pub fn payload_bytes_warn(&self) -> Option<usize> {
        self.payload_bytes_warn
    }

    /// The delays before the second, third, … attempt.
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// Attempts in all.
    pub fn attempts_max(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The largest share by which a delay is lengthened at random.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// Whether delays are lengthened at random.
    pub fn has_jitter(&self) -> bool {
        self.jitter > 0.0
    }

    /// How long to wait after the failed attempt at this position (1 is the first of its round);
    /// `None` when it was the last. `fraction` in `0.0..1.0` draws the jitter.
    pub fn retry_after(&self, position: u32, fraction: f64) -> Option<Duration> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        let delay = *self.delays.get(index)?;
        Some(if self.has_jitter() { delay.mul_f64(1.0 + self.jitter * fraction.clamp(0.0, 1.0)) } else { delay })
    }

    /// When endpoints are suspended.
    pub fn suspension(&self) -> &Suspension {
        &self.suspension
    }

    /// The most endpoints a tenant may have.
    pub fn endpoints_per_tenant(&self) -> Option<u32> {
        self.endpoints_per_tenant
    }

    /// Whether types outside the catalogue are refused.
    pub fn catalogue_is_closed(&self) -> bool {
        self.catalogue_closed
    }

    /// The known types.
    pub fn catalogue(&self) -> &[CatalogueEntry] {
        &self.catalogue
    }

    /// Whether a publisher may publish this type.
    pub fn accepts_type(&self, event_type: &EventType) -> bool {
        !self.catalogue_closed || self.catalogue.iter().any(|entry| entry.event_type == *event_type)
    }

    /// Whether a subscription can ever match: under a closed catalogue it must match one of its types, or
    /// name a system event.
    pub fn accepts_pattern(&self, pattern: &Pattern) -> bool {
        if !self.catalogue_closed || matches!(pattern, Pattern::All) {
            return true;
        }
        let system = match pattern {
            Pattern::Exact(exact) => exact.is_system(),
            Pattern::Under(prefix) => prefix == "endpoint",
            Pattern::All => true,
        };
        system || self.catalogue.iter().any(|entry| pattern.matches(&entry.event_type))
    }

    /// With every retry delay multiplied (`WHIMBREL_RETRY_SCALE`), to whole milliseconds and at least one.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        for delay in &mut self.delays {
            let millis = delay.mul_f64(factor).as_millis().max(1);
            *delay = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        }
        self
    }
}
