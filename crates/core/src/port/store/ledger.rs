//! What the tracker needs of the store to settle outcomes and to publish on its own account.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreError;
use crate::contract::ContractName;
use crate::delivery::Delivery;
use crate::endpoint::{EndpointStatus, Health, SuspendReason};
use crate::event::TraceContext;
use crate::id::{DeliveryId, EndpointId};
use crate::judge::Seen;
use crate::outcome::Outcome;
use crate::port::Lane;
use crate::subscription::EventType;
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// An endpoint as far as a decision needs it, read in the deciding transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFacts {
    /// Whose.
    pub tenant: TenantId,
    /// Whether it takes deliveries.
    pub status: EndpointStatus,
    /// Its run of failures.
    pub health: Health,
    /// See [`crate::endpoint::Endpoint::activated_at`].
    pub activated_at: Option<Timestamp>,
    /// See [`crate::endpoint::Endpoint::version`].
    pub version: i64,
    /// The endpoint's own schedule, where its owner chose one instead of the contract's.
    pub retry_delays: Option<Vec<Duration>>,
}

/// What the store knows about a batch of outcomes, with the rows locked.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The known deliveries among the outcomes'.
    pub deliveries: HashMap<DeliveryId, Delivery>,
    /// The existing endpoints among the outcomes'.
    pub endpoints: HashMap<EndpointId, EndpointFacts>,
    /// Per outcome, in order: how its attempt stands to the log. `New` for outcomes without an attempt
    /// and for unknown deliveries (of which no attempt is recorded).
    pub seen: Vec<Seen>,
}

/// The new state of one delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryChange {
    /// As it is from now on.
    pub delivery: Delivery,
    /// Attempts newly recorded.
    pub attempts_added: u32,
    /// Of the last attempt, if one was recorded: its status code and its error.
    pub last: Option<(Option<u16>, Option<String>)>,
    /// When the sweep looks at it; `None` when no job is out.
    pub sweep_at: Option<Timestamp>,
}

/// An endpoint to suspend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspended {
    /// Which.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: SuspendReason,
    /// Since when.
    pub since: Timestamp,
}

/// What to write for a batch of outcomes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// One per changed delivery.
    pub deliveries: Vec<DeliveryChange>,
    /// One per endpoint whose health changed.
    pub health: Vec<(EndpointId, Health)>,
    /// One per endpoint that is suspended now. The store raises its version.
    pub suspended: Vec<Suspended>,
}

/// A delivery whose job is to be published, with what the job carries.
#[derive(Debug, Clone, PartialEq)]
pub struct ToPublish {
    /// Where it stands.
    pub delivery: Delivery,
    /// Whose.
    pub tenant: TenantId,
    /// Its tenant's contract.
    pub contract: ContractName,
    /// The event's type.
    pub event_type: EventType,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// What is sent.
    pub body: Bytes,
    /// The event's trace.
    pub trace: TraceContext,
    /// The endpoint's version now; 0 when it was deleted.
    pub endpoint_version: i64,
}

/// An endpoint whose latest version has not been announced (rule 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unannounced {
    /// Which.
    pub endpoint: EndpointId,
    /// Whose.
    pub tenant: TenantId,
    /// Its URL, for people.
    pub url: String,
    /// The version to announce.
    pub version: i64,
    /// Its status at that version.
    pub status: EndpointStatus,
    /// See [`crate::endpoint::Endpoint::activated_at`].
    pub activated_at: Option<Timestamp>,
    /// The word of the status ([`EndpointStatus::as_str`]) that was announced last; at creation, the one it began with.
    pub announced_status: String,
}

/// Decides on locked facts. Called again when the transaction has to be repeated.
pub type Decide<'a> = &'a (dyn Fn(&Facts) -> Decision + Send + Sync);

/// What the tracker needs.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Locks the outcomes' deliveries in id order, and the endpoints of those that failed or whose
    /// health is not clean; asks `decide`; writes new attempts and the decision; commits.
    /// A duplicate POST (other execution) is counted on the recorded attempt. Deliveries that a first success ends need
    /// no lock ([`crate::awaited`]), as long as what is committed was decided on what was there.
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, StoreError>;

    /// The deliveries with what their jobs carry; unknown ones are missing.
    async fn to_publish(&self, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, StoreError>;

    /// Claims up to `limit` deliveries whose `sweep_at` lies at or before `until`, oldest first, and sets their next
    /// one to `now + base × 2^times swept` (rule 18). Only those whose job would be in `lane`: `Live` for attempt 1 of
    /// round 1, `Bulk` for the first attempt of a round that a replay began, `Slow` for the others.
    async fn overdue(
        &self,
        lane: Lane,
        until: Timestamp,
        now: Timestamp,
        base: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Up to `limit` deliveries of this lane whose `sweep_at` is the latest at or before `until`, latest first; claims
    /// nothing.
    async fn last_overdue(&self, lane: Lane, until: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// Makes up to `limit` deliveries pending that wait for a manual retry, oldest first. What the sender deferred
    /// stays: a replay takes it ([`super::Replays`]).
    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// Up to `limit` endpoints whose `announced_version` is behind their version.
    async fn unannounced(&self, limit: u32) -> Result<Vec<Unannounced>, StoreError>;

    /// Notes that these (endpoint, version, word of the status) were announced; a version that has risen since
    /// stays to be announced.
    async fn announced(&self, rows: &[(EndpointId, i64, &'static str)]) -> Result<(), StoreError>;
}
