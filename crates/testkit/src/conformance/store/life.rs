//! What happens to deliveries and endpoints in a case: attempts settle, endpoints are suspended and activated, replays
//! go on.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use whimbrel_core::delivery::{Delivery, DeliveryState, FailReason};
use whimbrel_core::endpoint::{Endpoint, EndpointStatus, SuspendReason};
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{Advance, Clock as _, Decision, DeliveryChange, EndpointChange, Facts, Suspended};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind};
use whimbrel_core::{ReplayId, Timestamp};

use super::World;
use super::world::insist;

impl World {
    /// Records the awaited attempt's success.
    pub(super) async fn succeed(&self, delivery: &Delivery) -> anyhow::Result<Delivery> {
        let succeeded = Delivery { state: DeliveryState::Succeeded { at: self.now() }, ..*delivery };
        self.record(&self.success(delivery, delivery.attempt), succeeded).await
    }

    /// Records the awaited attempt's failure; another one follows.
    pub(super) async fn retry_later(&self, delivery: &Delivery) -> anyhow::Result<Delivery> {
        let state = DeliveryState::Retrying { at: self.now() + Duration::from_mins(1) };
        let retrying = Delivery { state, attempt: delivery.attempt + 1, ..*delivery };
        self.record(&self.failure(delivery, delivery.attempt), retrying).await
    }

    /// Records the awaited attempt's failure as the last one.
    pub(super) async fn fail(&self, delivery: &Delivery) -> anyhow::Result<Delivery> {
        let state = DeliveryState::Failed { reason: FailReason::Exhausted, at: self.now() };
        self.record(&self.failure(delivery, delivery.attempt), Delivery { state, ..*delivery }).await
    }

    async fn record(&self, outcome: &Outcome, delivery: Delivery) -> anyhow::Result<Delivery> {
        let Fate::Attempted(attempted) = &outcome.fate else { return Ok(delivery) };
        let last = Some((attempted.status_code(), attempted.error()));
        let change = DeliveryChange { attempts_added: 1, last, ..self.change(delivery) };
        let decision = Decision { deliveries: vec![change], ..Decision::default() };
        self.store.settle(std::slice::from_ref(outcome), &|_: &Facts| decision.clone()).await?;
        Ok(delivery)
    }

    /// Suspends the endpoint as the tracker does.
    pub(super) async fn suspend(&self, endpoint: &Endpoint) -> anyhow::Result<EndpointStatus> {
        let delivery = self.delivery(endpoint).await?;
        let (reason, since) = (SuspendReason::ConsecutiveFailures, self.now());
        let suspended = vec![Suspended { endpoint: endpoint.id, reason, since }];
        let decision = Decision { suspended, ..Decision::default() };
        self.store.settle(&[self.failure(&delivery, 1)], &|_: &Facts| decision.clone()).await?;
        Ok(EndpointStatus::Suspended { reason, since })
    }

    /// Activates or disables the endpoint as its owner does.
    pub(super) async fn set_status(&self, endpoint: &Endpoint, status: EndpointStatus) -> anyhow::Result<Endpoint> {
        let change = EndpointChange { status: Some((status, self.now())), ..EndpointChange::default() };
        self.update(endpoint, &change).await
    }

    /// So many held deliveries of as many new events, oldest first.
    pub(super) async fn held(&self, endpoint: &Endpoint, count: usize) -> anyhow::Result<Vec<Delivery>> {
        let mut batch = Vec::new();
        for _ in 0..count {
            let mut fanout = self.fanout(self.event(&endpoint.tenant, "order.created"), &[endpoint.id]);
            fanout.deliveries[0].state = DeliveryState::Held;
            batch.push(fanout);
        }
        let accepted = self.store.accept(&batch).await?;
        ensure!(accepted.iter().all(|answer| answer.pending.is_empty()), "held deliveries are to be published");
        Ok(batch.iter().map(|fanout| fanout.deliveries[0]).collect())
    }

    /// A replay, not started.
    pub(super) fn new_replay(&self, endpoint: &Endpoint, kind: ReplayKind, filter: ReplayFilter) -> Replay {
        let id = ReplayId::generate(self.now(), self.clock.random10());
        Replay::new(id, endpoint.tenant.clone(), endpoint.id, kind, filter, self.now())
    }

    /// The same, started.
    pub(super) async fn start(
        &self,
        endpoint: &Endpoint,
        kind: ReplayKind,
        filter: ReplayFilter,
    ) -> anyhow::Result<Replay> {
        let replay = self.new_replay(endpoint, kind, filter);
        let started = self.store.start_replay(&replay).await?.context("the endpoint is unknown")?;
        ensure!(started.id == replay.id, "another one was running: {started:?}");
        Ok(started)
    }

    /// A release of what is held, started.
    pub(super) async fn release(&self, endpoint: &Endpoint) -> anyhow::Result<Replay> {
        self.start(endpoint, ReplayKind::Release, ReplayFilter::default()).await
    }

    /// A step of the replay, swept in five minutes.
    pub(super) async fn advance(&self, replay: &Replay, window: u32) -> anyhow::Result<Advance> {
        let now = self.now();
        Ok(insist(async || self.store.advance_replay(replay.id, window, now, sweep_at(now)).await).await?)
    }

    /// The replay as it is stored.
    pub(super) async fn replay(&self, replay: &Replay) -> anyhow::Result<Replay> {
        let stored = self.store.replay(&replay.tenant, replay.id).await?;
        stored.with_context(|| format!("{} is not stored", replay.id))
    }

    /// All these stand as they are given.
    pub(super) async fn stand(&self, deliveries: &[Delivery]) -> anyhow::Result<()> {
        for expected in deliveries {
            let stored = self.position(expected).await?;
            ensure!(stored == *expected, "{stored:?} instead of {expected:?}");
        }
        Ok(())
    }
}

/// When the sweep looks at what [`World::advance`] took at `now`.
pub(super) fn sweep_at(now: Timestamp) -> Timestamp {
    now + Duration::from_mins(5)
}

/// The same delivery, pending in a new round (rule 1).
pub(super) fn begun(delivery: &Delivery) -> Delivery {
    let attempt = delivery.attempt + 1;
    Delivery { state: DeliveryState::Pending, round: delivery.round + 1, first_attempt: attempt, attempt, ..*delivery }
}
