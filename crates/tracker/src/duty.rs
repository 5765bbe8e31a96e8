//! What the tracker does by the clock: publishes what waits in the store and what is overdue there.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use whimbrel_core::delivery::{Delivery, DeliveryState, SWEEP_GRACE, WaitReason};
use whimbrel_core::port::{Lane, Publisher, QueueError};

use crate::publish::{Ready, job_messages};
use crate::settle::Tracker;

/// How the duties are paced.
#[derive(Debug, Clone, Copy)]
pub struct DutyConfig {
    /// Between looks at what waits.
    pub interval: Duration,
    /// Deliveries taken at a look.
    pub batch: u32,
    /// A delivery that was swept is looked at again after this, then after twice as long, and so on.
    pub sweep_base: Duration,
}

impl Default for DutyConfig {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), batch: 500, sweep_base: SWEEP_GRACE }
    }
}

/// Runs until `stop` is cancelled. A store or queue that is away is tried again at the next look.
pub async fn run_duty(tracker: Tracker, config: DutyConfig, stop: CancellationToken) {
    let publisher = tracker.queue.publisher();
    let mut ticks = tokio::time::interval(config.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if *publisher.blocked().borrow() {
            continue;
        }
        if let Err(error) = tracker.publish_waiting(&*publisher, config).await {
            warn!(%error, "waiting deliveries cannot be published at the moment");
        }
        if let Err(error) = tracker.sweep(&*publisher, config).await {
            warn!(%error, "overdue deliveries cannot be published at the moment");
        }
    }
}

/// Either port may be away.
#[derive(Debug, thiserror::Error)]
enum DutyError {
    #[error(transparent)]
    Store(#[from] whimbrel_core::port::StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Tracker {
    async fn publish_waiting(&self, publisher: &dyn Publisher, config: DutyConfig) -> Result<(), DutyError> {
        let taken = self.store.take_waiting(self.clock.now() + SWEEP_GRACE, config.batch).await?;
        let lanes: HashMap<_, _> = taken.iter().map(|(delivery, why)| (delivery.id, lane(*why))).collect();
        let deliveries = taken.into_iter().map(|(delivery, _)| delivery).collect();
        self.publish_now(publisher, deliveries, |delivery| lanes[&delivery.id]).await
    }

    /// Rule 18's safety net: in health it never finds anything.
    async fn sweep(&self, publisher: &dyn Publisher, config: DutyConfig) -> Result<(), DutyError> {
        let overdue = self.store.overdue(self.clock.now(), config.sweep_base, config.batch).await?;
        if !overdue.is_empty() {
            warn!(deliveries = overdue.len(), "overdue deliveries are published again");
            metrics::counter!("whimbrel_sweep_republished_total").increment(overdue.len() as u64);
        }
        self.publish_now(publisher, overdue, |delivery| if delivery.attempt == 1 { Lane::Live } else { Lane::Slow })
            .await
    }

    async fn publish_now(
        &self,
        publisher: &dyn Publisher,
        deliveries: Vec<Delivery>,
        lane: impl Fn(&Delivery) -> Lane,
    ) -> Result<(), DutyError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        debug!(deliveries = deliveries.len(), "publishing from the store");
        let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
        let found = self.store.to_publish(&ids).await?;
        let ready = found.into_iter().map(|what| {
            let at = match what.delivery.state {
                DeliveryState::Retrying { at } => Some(at),
                _ => None,
            };
            Ready { lane: lane(&what.delivery), at, jitter: Duration::ZERO, what }
        });
        let messages = job_messages(&*self.clock, &self.tiers, ready.collect());
        // Once: what does not arrive is overdue later, and swept.
        Ok(publisher.publish(messages).await?)
    }
}

fn lane(why: WaitReason) -> Lane {
    match why {
        WaitReason::Manual | WaitReason::Deferred => Lane::Slow,
        WaitReason::Release | WaitReason::Replay => Lane::Bulk,
    }
}
