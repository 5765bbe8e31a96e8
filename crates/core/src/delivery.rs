//! Deliveries: one event on its way to one endpoint.

use std::time::Duration;

use crate::id::{DeliveryId, EndpointId, EventId, ExecutionId};
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// How long after a job is due the sweep looks whether its attempt was made, where the configuration says nothing.
pub const SWEEP_GRACE: Duration = Duration::from_mins(10);

/// Why a delivery will not be tried again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailReason {
    /// The contract's attempts are used up.
    Exhausted,
    /// The receiver said that it is gone (410).
    Gone,
    /// Policy forbids the address: plain HTTP or a private network.
    Refused,
    /// Older than the retention period (rule 28).
    Expired,
}

impl FailReason {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Expired => "expired",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Exhausted, Self::Gone, Self::Refused, Self::Expired].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Why a delivery waits in the store, to be published by the tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitReason {
    /// Someone asked for it again.
    Manual,
    /// Over its endpoint's cap for longer than parking allows (rule 17).
    Deferred,
}

impl WaitReason {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Deferred => "deferred",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Manual, Self::Deferred].into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Where a delivery is. ARCHITECTURE.md draws the machine; the migrations repeat it as CHECKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// A job for the awaited attempt is on the queue.
    Pending,
    /// The last attempt failed; a job for the awaited attempt waits in a tier.
    Retrying {
        /// Not before this.
        at: Timestamp,
    },
    /// No job anywhere: the tracker publishes it when its turn comes.
    Waiting(WaitReason),
    /// No job anywhere: the endpoint takes no deliveries.
    Held,
    /// A 2xx came back.
    Succeeded {
        /// When.
        at: Timestamp,
    },
    /// Not tried again by itself.
    Failed {
        /// Why.
        reason: FailReason,
        /// When.
        at: Timestamp,
    },
    /// Its endpoint was deleted.
    Cancelled,
}

impl DeliveryState {
    /// The word stored and, but for `succeeded` and `waiting`, shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying { .. } => "retrying",
            Self::Waiting(_) => "waiting",
            Self::Held => "held",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a store keeps beside the word: why it failed or waits, and when it is tried next or was done.
    pub const fn columns(&self) -> (Option<&'static str>, Option<Timestamp>) {
        match self {
            Self::Pending | Self::Held | Self::Cancelled => (None, None),
            Self::Retrying { at } | Self::Succeeded { at } => (None, Some(*at)),
            Self::Waiting(reason) => (Some(reason.as_str()), None),
            Self::Failed { reason, at } => (Some(reason.as_str()), Some(*at)),
        }
    }

    /// The reverse of [`Self::as_str`] and [`Self::columns`]; `None` for what no state gives.
    pub fn from_columns(word: &str, reason: Option<&str>, at: Option<Timestamp>) -> Option<Self> {
        Some(match word {
            "pending" => Self::Pending,
            "retrying" => Self::Retrying { at: at? },
            "waiting" => Self::Waiting(WaitReason::parse(reason?)?),
            "held" => Self::Held,
            "succeeded" => Self::Succeeded { at: at? },
            "failed" => Self::Failed { reason: FailReason::parse(reason?)?, at: at? },
            "cancelled" => Self::Cancelled,
            _ => return None,
        })
    }

    /// Whether nothing more happens by itself.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled)
    }
}

/// The position of a delivery in its life: what jobs and outcomes are compared with (rule 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Derived from event and endpoint.
    pub id: DeliveryId,
    /// What is delivered.
    pub event: EventId,
    /// Where to.
    pub endpoint: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Starts at 1; manual retry, replay and release begin another.
    pub round: u32,
    /// The number of this round's first attempt.
    pub first_attempt: u32,
    /// The attempt that is awaited; in a final state, the highest number given out. Never lowered, so that a new
    /// round cannot meet a number that was used.
    pub attempt: u32,
}

impl Delivery {
    /// A new one, on its first round.
    pub fn new(event: EventId, endpoint: EndpointId, state: DeliveryState) -> Self {
        Self { id: DeliveryId::of(event, endpoint), event, endpoint, state, round: 1, first_attempt: 1, attempt: 1 }
    }

    /// 1 for the first attempt of this round.
    pub fn position(&self, attempt: u32) -> u32 {
        attempt.saturating_sub(self.first_attempt) + 1
    }
}

/// A delivery as the log shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// Its position.
    pub delivery: Delivery,
    /// Whose.
    pub tenant: TenantId,
    /// The event's type.
    pub event_type: EventType,
    /// Attempts recorded.
    pub attempts: u32,
    /// The last attempt's status code, when there was a response.
    pub status_code: Option<u16>,
    /// The last attempt's error, when it failed.
    pub error: Option<String>,
}

/// One POST as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// From 1, rising over rounds.
    pub number: u32,
    /// The round it was made in.
    pub round: u32,
    /// Which POST this was (rule 2).
    pub execution: ExecutionId,
    /// When the POST began.
    pub started_at: Timestamp,
    /// From connect to the response's status line, or to the failure.
    pub duration_ms: u32,
    /// The status, when there was a response.
    pub status_code: Option<u16>,
    /// The class and the words of the failure, when it failed: `timeout: no response within 5s`.
    pub error: Option<String>,
    /// The first bytes of the response's body, as they came.
    pub response_body: bytes::Bytes,
}
