//! Endpoints: where a tenant wants its events, and how well that goes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{ContractName, Suspension};
use crate::filter::Filter;
use crate::id::EndpointId;
use crate::secret::SecretPair;
use crate::subscription::{EventType, Pattern};
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// Why Whimbrel stopped delivering to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuspendReason {
    /// Too many failed attempts in a row.
    ConsecutiveFailures,
    /// Nothing but failures for the contract's period.
    FailingTooLong,
    /// The receiver answered that it is gone for good (410).
    Gone,
}

impl SuspendReason {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailingTooLong => "failing_too_long",
            Self::Gone => "gone",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::ConsecutiveFailures, Self::FailingTooLong, Self::Gone].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Whether an endpoint takes deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// Deliveries go out.
    Active,
    /// Whimbrel stopped: deliveries are held until someone activates it.
    Suspended {
        /// Why.
        reason: SuspendReason,
        /// Since when.
        since: Timestamp,
    },
    /// Its owner stopped it: new events make no deliveries, waiting ones are held (rule 12).
    Disabled,
}

impl EndpointStatus {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Disabled => "disabled",
        }
    }

    /// Whether deliveries go out.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }
}

/// What suspension is decided on: the run of failures since the last success, in commit order (rule 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failed attempts in a row, over all deliveries.
    pub consecutive_failures: u32,
    /// When the first of them started; set while `consecutive_failures` > 0.
    pub failing_since: Option<Timestamp>,
}

impl Health {
    /// After one more attempt.
    #[must_use]
    pub fn after(self, success: bool, started_at: Timestamp) -> Self {
        if success {
            return Self::default();
        }
        Self {
            consecutive_failures: self.consecutive_failures.saturating_add(1),
            failing_since: Some(self.failing_since.map_or(started_at, |since| since.min(started_at))),
        }
    }

    /// Whether the contract's rule now asks for suspension, and which.
    pub fn suspension(self, rule: &Suspension, now: Timestamp) -> Option<SuspendReason> {
        if rule.consecutive_failures.is_some_and(|limit| self.consecutive_failures >= limit) {
            return Some(SuspendReason::ConsecutiveFailures);
        }
        let since = self.failing_since?;
        let failing = rule.failing_for.as_ref()?;
        // A failure now and one at least a whole period (≥ 1 day) ago lie on two days by themselves.
        let long_enough = now.since(since) >= failing.period.max(Duration::from_hours(24));
        (long_enough && self.consecutive_failures >= failing.attempts_min).then_some(SuspendReason::FailingTooLong)
    }
}

/// Headers that an owner adds to an endpoint's requests. Their values may be credentials: they are sealed at rest, and
/// neither shown nor logged.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomHeaders(pub Vec<(String, String)>);

impl CustomHeaders {
    /// For sealing.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("pairs of texts are JSON")
    }

    /// The reverse of [`Self::to_bytes`]; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The names, which are no secret.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What an owner may choose for an endpoint; each `None` leaves it to the contract or the deployment. A store keeps
/// it as JSON and ignores what a newer version added.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EndpointOptions {
    /// One deadline from connecting to the status line, at most the contract's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millis")]
    pub timeout: Option<Duration>,
    /// POSTs a second at most, per sender process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<u32>,
    /// POSTs under way at most, per sender process; also the window of releases and replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<u32>,
    /// Delays between attempts instead of the contract's, each one of the loaded tiers.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "many_millis")]
    pub retry_delays: Option<Vec<Duration>>,
    /// Which of the events of its types it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn number(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(number).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

mod many_millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Vec<Duration>>, serializer: S) -> Result<S::Ok, S::Error> {
        let millis: Option<Vec<u64>> =
            value.as_ref().map(|delays| delays.iter().copied().map(super::millis::number).collect());
        millis.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Duration>>, D::Error> {
        let millis = Option::<Vec<u64>>::deserialize(deserializer)?;
        Ok(millis.map(|delays| delays.into_iter().map(Duration::from_millis).collect()))
    }
}

/// An endpoint, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The API's `hook_…`.
    pub id: EndpointId,
    /// Whose.
    pub tenant: TenantId,
    /// Its tenant's contract.
    pub contract: ContractName,
    /// Where to POST.
    pub url: String,
    /// What it wants.
    pub events: Vec<Pattern>,
    /// A note by its owner.
    pub description: Option<String>,
    /// What bodies are signed with.
    pub secrets: SecretPair,
    /// What its requests carry besides the contract's headers.
    pub headers: CustomHeaders,
    /// What else its owner chose.
    pub options: EndpointOptions,
    /// Whether deliveries go out.
    pub status: EndpointStatus,
    /// The run of failures.
    pub health: Health,
    /// Rises with every change (rule 10).
    pub version: i64,
    /// When its last suspension was lifted: attempts started earlier do not touch health (rule 9).
    pub activated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Endpoint {
    /// A new one: active, healthy, and with nothing chosen that the contract or the deployment would decide.
    pub fn new(
        id: EndpointId,
        tenant: TenantId,
        contract: ContractName,
        url: String,
        events: Vec<Pattern>,
        secrets: SecretPair,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            contract,
            url,
            events,
            description: None,
            secrets,
            headers: CustomHeaders::default(),
            options: EndpointOptions::default(),
            status: EndpointStatus::Active,
            health: Health::default(),
            version: 1,
            activated_at: None,
            created_at,
        }
    }
}

/// What fan-out knows of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Which.
    pub id: EndpointId,
    /// What it wants.
    pub events: Vec<Pattern>,
    /// Whether its deliveries go out, are held, or are not even made.
    pub status: EndpointStatus,
    /// Carried by its jobs (rule 10).
    pub version: i64,
    /// Which of the events of its types it wants.
    pub filter: Option<Filter>,
}

impl Subscriber {
    /// Whether an event of this type is for it, as far as the type goes: its filter is asked about the data.
    pub fn wants(&self, event_type: &EventType) -> bool {
        self.status != EndpointStatus::Disabled && self.events.iter().any(|pattern| pattern.matches(event_type))
    }
}
