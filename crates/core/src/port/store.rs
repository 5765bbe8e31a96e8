//! The store as each of its users sees it: one small trait per role, and `Store` for all of them.
//!
//! Absent is `Ok(None)` or a missing entry. A method is one transaction unless it says otherwise.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::contract::ContractName;
use crate::delivery::{Attempt, Delivery, DeliveryRow, WaitReason};
use crate::endpoint::{Endpoint, EndpointStatus, Health, Subscriber, SuspendReason};
use crate::event::{Event, TraceContext};
use crate::id::{DeliveryId, EndpointId, EventId, KeyId};
use crate::judge::Seen;
use crate::outcome::Outcome;
use crate::secret::SecretPair;
use crate::subscription::{EventType, Pattern};
use crate::tenant::{Tenant, TenantHead, TenantId};
use crate::time::Timestamp;

/// Why a store operation did not work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is away, busy or lost a race: the same call may work later.
    #[error("the store is away: {0}")]
    Away(String),
    /// The same call will never work: the rows or the statement are at fault.
    #[error("the store refused: {0}")]
    Refused(String),
    /// This endpoint's secret cannot be opened; the same call without it works (rule 31).
    #[error("{reason}")]
    Sealed {
        /// Whose secret.
        endpoint: EndpointId,
        /// Why, naming the key.
        reason: String,
    },
}

// ---- intake ---------------------------------------------------------------------------------------

/// Asks for an idempotency key (rule 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Keys are a tenant's own.
    pub tenant: TenantId,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// SHA-256 of type and raw data.
    pub content_hash: [u8; 32],
    /// The id the event gets if the key is new.
    pub event: EventId,
    /// When the key may be used again.
    pub expires_at: Timestamp,
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The key is now this event's.
    Fresh,
    /// The same content came under this key before, as this event.
    Repeat(EventId),
    /// Other content came under this key before.
    Conflict,
}

/// An event and the deliveries it makes.
#[derive(Debug, Clone)]
pub struct Fanout {
    /// The event.
    pub event: Event,
    /// One per endpoint that gets it: `Pending` or `Held`.
    pub deliveries: Vec<Delivery>,
    /// When the sweep looks at the pending ones.
    pub sweep_at: Timestamp,
}

/// What the store made of a [`Fanout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event was stored before: its deliveries are those of the first time (rule 21).
    pub repeated: bool,
    /// The deliveries whose first attempt is to be published.
    pub pending: Vec<Delivery>,
}

/// What ingest needs (and the API, for keys).
#[async_trait]
pub trait Intake: Send + Sync {
    /// The known ones among `ids`, in any order.
    async fn tenant_heads(&self, ids: &[TenantId]) -> Result<Vec<TenantHead>, StoreError>;

    /// The tenant's endpoints, with the version they were read at. Empty for an unknown tenant.
    async fn subscribers(&self, tenant: &TenantId) -> Result<(i64, Vec<Subscriber>), StoreError>;

    /// Claims keys, in order: a key that stands twice in `claims` is fresh the first time. An expired
    /// key counts as free.
    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, StoreError>;

    /// Stores events and their deliveries; one answer per event, in order. An event that is stored
    /// already changes nothing.
    async fn accept(&self, batch: &[Fanout]) -> Result<Vec<Accepted>, StoreError>;
}

// ---- sending --------------------------------------------------------------------------------------

/// What the sender needs.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// The existing ones among `ids`, in any order.
    async fn endpoints(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>, StoreError>;

    /// Where these deliveries stand; unknown ones are missing (rule 4).
    async fn positions(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError>;
}

// ---- tracking -------------------------------------------------------------------------------------

/// An endpoint as far as a decision needs it, read in the deciding transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointFacts {
    /// Whose.
    pub tenant: TenantId,
    /// Whether it takes deliveries.
    pub status: EndpointStatus,
    /// Its run of failures.
    pub health: Health,
    /// See [`Endpoint::activated_at`].
    pub activated_at: Option<Timestamp>,
    /// See [`Endpoint::version`].
    pub version: i64,
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

/// Decides on locked facts. Called again when the transaction has to be repeated.
pub type Decide<'a> = &'a (dyn Fn(&Facts) -> Decision + Send + Sync);

/// What the tracker needs.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Locks the outcomes' deliveries in id order, and the endpoints of those that failed or whose
    /// health is not clean; records new attempts; asks `decide`; writes the decision; commits.
    /// A duplicate POST (other execution) is counted on the recorded attempt.
    async fn settle(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, StoreError>;

    /// The deliveries with what their jobs carry; unknown ones are missing.
    async fn to_publish(&self, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, StoreError>;

    /// Claims up to `limit` deliveries whose `sweep_at` has passed, oldest first, and sets their next
    /// one to `now + base × 2^times swept` (rule 18).
    async fn overdue(&self, now: Timestamp, base: std::time::Duration, limit: u32)
    -> Result<Vec<Delivery>, StoreError>;

    /// Makes up to `limit` waiting deliveries pending, oldest first, and says why each had waited.
    async fn take_waiting(&self, sweep_at: Timestamp, limit: u32) -> Result<Vec<(Delivery, WaitReason)>, StoreError>;
}

// ---- management -----------------------------------------------------------------------------------

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// Only what comes after this one, in the list's order.
    pub after: Option<K>,
    /// At most so many.
    pub limit: u32,
}

/// A key as stored: never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Whom it acts for; `None` is an admin key.
    pub tenant: Option<TenantId>,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
}

/// Tenants and keys.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// False when the id is taken.
    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool, StoreError>;

    /// One tenant.
    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError>;

    /// By id.
    async fn tenants(&self, page: Page<TenantId>) -> Result<Vec<Tenant>, StoreError>;

    /// Sets name and contract; `Ok(None)` when unknown. The contract may only change while the tenant
    /// has no endpoint (rule 26): otherwise the stored tenant comes back with its old contract.
    async fn update_tenant(&self, tenant: &Tenant) -> Result<Option<Tenant>, StoreError>;

    /// Deletes the tenant, its keys and endpoints, and cancels what is waiting. False when unknown.
    async fn delete_tenant(&self, id: &TenantId) -> Result<bool, StoreError>;

    /// Stores a key.
    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;

    /// The keys of a tenant, oldest first; `None` for admin keys.
    async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, StoreError>;

    /// The key with this hash.
    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError>;

    /// False when unknown.
    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError>;
}

/// What to change in an endpoint; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointChange {
    /// Where to POST.
    pub url: Option<String>,
    /// What it wants.
    pub events: Option<Vec<Pattern>>,
    /// A note; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// What bodies are signed with.
    pub secrets: Option<SecretPair>,
    /// `Active` also zeroes health and sets `activated_at` to the given time (rule 9).
    pub status: Option<(EndpointStatus, Timestamp)>,
}

/// Endpoints. Every change raises the endpoint's version and its tenant's.
#[async_trait]
pub trait Registry: Send + Sync {
    /// False when the tenant has `limit` endpoints, counted under the tenant's row lock (rule 30).
    async fn create_endpoint(&self, endpoint: &Endpoint, limit: Option<u32>) -> Result<bool, StoreError>;

    /// One endpoint of this tenant.
    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// The tenant's endpoints, oldest first.
    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Result<Vec<Endpoint>, StoreError>;

    /// The changed endpoint; `Ok(None)` when unknown.
    async fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Result<Option<Endpoint>, StoreError>;

    /// Deletes it and cancels its waiting deliveries. False when unknown.
    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<bool, StoreError>;
}

/// Which deliveries of an endpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeliveryFilter {
    /// Only these states, by their stored word.
    pub states: Vec<&'static str>,
    /// Only this type.
    pub event_type: Option<EventType>,
    /// Only events accepted at or after this.
    pub since: Option<Timestamp>,
    /// Only events accepted before this.
    pub until: Option<Timestamp>,
}

/// What came of a manual retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits for the tracker, in a new round.
    Waiting(Delivery),
    /// It cannot be retried as it stands: an attempt is already on its way, or its endpoint takes none.
    Not(Delivery),
}

/// The log.
#[async_trait]
pub trait Log: Send + Sync {
    /// One event of this tenant.
    async fn event(&self, tenant: &TenantId, id: EventId) -> Result<Option<Event>, StoreError>;

    /// The tenant's events, newest first.
    async fn events(&self, tenant: &TenantId, page: Page<EventId>) -> Result<Vec<Event>, StoreError>;

    /// An event's deliveries, by id.
    async fn deliveries_of_event(&self, tenant: &TenantId, event: EventId) -> Result<Vec<DeliveryRow>, StoreError>;

    /// An endpoint's deliveries, newest first.
    async fn deliveries(
        &self,
        endpoint: EndpointId,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<Vec<DeliveryRow>, StoreError>;

    /// One delivery of this tenant with its attempts in order.
    async fn delivery(
        &self,
        tenant: &TenantId,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRow, Vec<Attempt>)>, StoreError>;

    /// Begins a new round (rule 1), whose first attempt number is one past the awaited or last one, and
    /// leaves the delivery `Waiting(Manual)`. From `Retrying`, `Failed` and `Succeeded` only, while the
    /// endpoint exists and is active. `Ok(None)` when unknown.
    async fn retry(&self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Retried>, StoreError>;
}

/// A store engine.
#[async_trait]
pub trait Store: Intake + Lookup + Ledger + Tenants + Registry + Log + 'static {
    /// Whether it answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Closes connections after what is under way.
    async fn close(&self);
}
