//! Replays: many deliveries of one endpoint brought back, a window at a time (rule 8).
//!
//! A suspension's end, a request for past deliveries, and what the sender had to defer are the same work: take a
//! few, wait for their outcomes, take more. Its place is kept in the store, so it survives every restart.

use crate::id::{DeliveryId, EndpointId, ReplayId};
use crate::port::Lane;
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// What a replay brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplayKind {
    /// What was held while the endpoint was not active, after it was activated.
    Release,
    /// The same, given up instead: the deliveries become cancelled.
    Drop,
    /// Past deliveries, on request: each begins a new round.
    Replay,
    /// What the sender deferred (rule 17): the awaited attempts, in the same round. Started by the tracker, and not
    /// shown to anyone.
    Deferred,
}

impl ReplayKind {
    const ALL: [Self; 4] = [Self::Release, Self::Drop, Self::Replay, Self::Deferred];

    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Drop => "drop",
            Self::Replay => "replay",
            Self::Deferred => "deferred",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The lane that its jobs take.
    pub const fn lane(self) -> Lane {
        match self {
            Self::Deferred => Lane::Slow,
            Self::Release | Self::Drop | Self::Replay => Lane::Bulk,
        }
    }
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplayState {
    /// It goes on.
    Running,
    /// Everything was taken, and the first attempt of each has its outcome.
    Done,
    /// Someone stopped it, or its endpoint was deleted or stopped being active.
    Cancelled,
}

impl ReplayState {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Cancelled].into_iter().find(|state| state.as_str() == word)
    }
}

/// Which past deliveries a [`ReplayKind::Replay`] takes; the other kinds leave it empty but for `until`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayFilter {
    /// Of events accepted at or after this.
    pub since: Option<Timestamp>,
    /// Of events accepted before this.
    pub until: Option<Timestamp>,
    /// Failed ones only; else succeeded ones too.
    pub failed_only: bool,
    /// Only these types; empty means all.
    pub event_types: Vec<EventType>,
}

/// One replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The API's `rpl_…`.
    pub id: ReplayId,
    /// Whose.
    pub tenant: TenantId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// What it brings back.
    pub kind: ReplayKind,
    /// Which ones.
    pub filter: ReplayFilter,
    /// How far it is.
    pub state: ReplayState,
    /// Deliveries that matched when it started.
    pub total: u64,
    /// Deliveries taken so far.
    pub taken: u64,
    /// The last delivery taken, in id order; what comes next lies after it. For [`ReplayKind::Replay`] only: the
    /// other kinds change the state that they select by.
    pub cursor: Option<DeliveryId>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Replay {
    /// A new one, nothing taken yet; the store counts the total.
    pub fn new(
        id: ReplayId,
        tenant: TenantId,
        endpoint: EndpointId,
        kind: ReplayKind,
        filter: ReplayFilter,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant,
            endpoint,
            kind,
            filter,
            state: ReplayState::Running,
            total: 0,
            taken: 0,
            cursor: None,
            created_at: now,
            finished_at: None,
        }
    }
}
