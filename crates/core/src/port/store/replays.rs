//! Replays: started by the API or the tracker, advanced by the tracker (rule 8).

use async_trait::async_trait;

use super::{Page, StoreError};
use crate::delivery::Delivery;
use crate::id::{EndpointId, ReplayId};
use crate::replay::{Replay, ReplayKind, ReplayState};
use crate::tenant::TenantId;
use crate::time::Timestamp;

/// One step of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// What is to be published now, in id order, which is the order of the events to the millisecond.
    pub taken: Vec<Delivery>,
    /// Deliveries taken, now or earlier, whose first attempt has no outcome yet.
    pub in_flight: u32,
    /// The replay's state after the step.
    pub state: ReplayState,
}

/// Deliveries that no running replay will take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Whose.
    pub tenant: TenantId,
    /// At which endpoint.
    pub endpoint: EndpointId,
    /// `Release` for held deliveries of an active endpoint without a running release or drop, `Deferred` for
    /// deferred ones without a running replay of that kind.
    pub kind: ReplayKind,
}

/// Replays.
#[async_trait]
pub trait Replays: Send + Sync {
    /// Stores a new replay with its total, counted now. Of kinds other than `Replay` an endpoint has at most one
    /// running: if there is one, it is the answer and nothing is stored. `Ok(None)` when the tenant has no such
    /// endpoint.
    async fn start_replay(&self, replay: &Replay) -> Result<Option<Replay>, StoreError>;

    /// One replay of this tenant.
    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>, StoreError>;

    /// The tenant's replays but those of kind `Deferred`, of one endpoint or all, newest first.
    async fn replays(
        &self,
        tenant: &TenantId,
        endpoint: Option<EndpointId>,
        page: Page<ReplayId>,
    ) -> Result<Vec<Replay>, StoreError>;

    /// Stops a running replay; what was taken goes on. An ended one is answered as it is; `Ok(None)` when unknown.
    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError>;

    /// Running replays of every kind and tenant, by id.
    async fn running_replays(&self, page: Page<ReplayId>) -> Result<Vec<Replay>, StoreError>;

    /// One step, under the locks of the replay's row and then its endpoint's (deliveries are taken only when
    /// nobody else has them locked):
    ///
    /// - It takes the next deliveries in id order, as many as `window` leaves room for beside those in flight. The
    ///   endpoint's own in-flight cap bounds the window too.
    /// - `Release` takes held deliveries, `Deferred` those waiting as deferred; `Replay` takes succeeded and failed ones
    ///   that match its filter, lie after its cursor and whose payload was not erased. `Release` and `Replay` begin a new
    ///   round, as a manual retry does (rule 1); `Deferred` keeps round and attempt. All become pending, with `sweep_at`.
    /// - `Drop` makes up to 1,000 held deliveries of events before its `until` cancelled and takes nothing.
    /// - It is done when a re-scan finds nothing more to take, locked or not, and nothing is in flight.
    /// - An endpoint that was deleted cancels it; one that is not active cancels a `Release` and lets a `Replay` wait.
    ///
    /// A replay that is not running takes nothing.
    async fn advance_replay(
        &self,
        id: ReplayId,
        window: u32,
        now: Timestamp,
        sweep_at: Timestamp,
    ) -> Result<Advance, StoreError>;

    /// Up to `limit` endpoints with deliveries that no running replay will take. Must stay cheap with millions of
    /// held deliveries.
    async fn forgotten(&self, limit: u32) -> Result<Vec<Forgotten>, StoreError>;
}
