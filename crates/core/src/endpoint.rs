//! Endpoints: where a tenant wants its events, and how well that goes.

use std::time::Duration;

use crate::contract::{ContractName, Suspension};
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
}

impl Subscriber {
    /// Whether an event of this type is for it.
    pub fn wants(&self, event_type: &EventType) -> bool {
        self.status != EndpointStatus::Disabled && self.events.iter().any(|pattern| pattern.matches(event_type))
    }
}
