//! What the tracker does by the clock, under a lease: one process of many (rule 18).
//!
//! Every duty is idempotent step by step, so a lease that changes hands in the middle of one costs nothing but a few
//! repeated messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;
use whimbrel_core::delivery::{Delivery, DeliveryState, SWEEP_GRACE};
use whimbrel_core::port::{EndpointCounts, Lane, Parking, Publisher, QueueError, insist};

use crate::parking::Redrive;
use crate::publish::{Ready, job_messages};
use crate::settle::Tracker;
use crate::sweep::Sweep;
use crate::upkeep::show_endpoints;

/// The lease that the duties run under.
const LEASE: &str = "tracker";
/// How long a process that died keeps the others from its duties.
const LEASE_TTL: Duration = Duration::from_secs(10);
/// Between looks while a replay, a sweep or an erasure is under way.
const BUSY_INTERVAL: Duration = Duration::from_millis(50);

/// How the duties are paced.
#[derive(Debug, Clone, Copy)]
pub struct DutyConfig {
    /// Between looks at what waits, while little happens.
    pub interval: Duration,
    /// Deliveries taken at a look.
    pub batch: u32,
    /// A delivery that was swept is looked at again after this, then after twice as long, and so on.
    pub sweep_base: Duration,
    /// Deliveries that a replay has under way at most; an endpoint's own cap bounds it too.
    pub window: u32,
    /// How long the log is kept.
    pub retention: Duration,
    /// Between looks for what in health is not there: overdue deliveries, what no replay takes, payloads to erase; and
    /// between counts of endpoints.
    pub rare_interval: Duration,
    /// Between rounds of retention, partitions and usage counts.
    pub upkeep_interval: Duration,
    /// Between looks at what was parked for having come too often.
    pub parking_interval: Duration,
}

impl Default for DutyConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            batch: 500,
            sweep_base: SWEEP_GRACE,
            window: 128,
            retention: Duration::from_hours(30 * 24),
            rare_interval: Duration::from_secs(5),
            upkeep_interval: Duration::from_hours(1),
            parking_interval: Duration::from_secs(30),
        }
    }
}

/// Runs until `stop` is cancelled. A store or queue that is away is tried again at the next look.
pub async fn run_duty(tracker: Tracker, parking: Arc<dyn Parking>, config: DutyConfig, stop: CancellationToken) {
    let publisher = tracker.queue.publisher();
    let holder = *uuid::Builder::from_random_bytes(random16(&tracker)).as_uuid();
    let mut duties = Duties::new(&tracker, parking, config, holder);
    let mut pause = config.interval;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = config.interval;
        if *publisher.blocked().borrow() {
            continue;
        }
        match duties.round(&*publisher, &stop).await {
            Ok(true) => pause = BUSY_INTERVAL.min(config.interval),
            Ok(false) | Err(DutyError::Queue(QueueError::Closed)) => {}
            Err(error) => warn!(%error, "the tracker's duties cannot go on at the moment; tried again"),
        }
    }
    // So that another process need not wait for it to expire.
    if let Err(error) = tracker.store.release_lease(LEASE, holder).await {
        debug!(%error, "the lease is left to expire");
    }
}

fn random16(tracker: &Tracker) -> [u8; 16] {
    let mut bytes = [0; 16];
    tracker.clock.fill(&mut bytes);
    bytes
}

/// Either port may be away.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DutyError {
    #[error(transparent)]
    Store(#[from] whimbrel_core::port::StoreError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The duties of one process, and when each is due.
struct Duties<'a> {
    tracker: &'a Tracker,
    config: DutyConfig,
    holder: Uuid,
    lease_until: Option<Instant>,
    rare: Due,
    /// Whether one of the rare duties is in the middle of something.
    rare_busy: bool,
    upkeep: Due,
    parking: Due,
    redrive: Redrive,
    sweep: Sweep,
}

impl<'a> Duties<'a> {
    fn new(tracker: &'a Tracker, parking: Arc<dyn Parking>, config: DutyConfig, holder: Uuid) -> Self {
        Self {
            tracker,
            config,
            holder,
            lease_until: None,
            rare: Due::every(config.rare_interval),
            rare_busy: false,
            upkeep: Due::every(config.upkeep_interval),
            parking: Due::every(config.parking_interval),
            redrive: Redrive::new(parking),
            sweep: Sweep::default(),
        }
    }

    /// Every duty that is due; says whether one is in the middle of something.
    async fn round(&mut self, publisher: &dyn Publisher, stop: &CancellationToken) -> Result<bool, DutyError> {
        if !self.hold_lease().await? {
            self.sweep = Sweep::default();
            self.redrive.forget();
            show_endpoints(EndpointCounts::default());
            return Ok(false);
        }
        let (tracker, config) = (self.tracker, &self.config);
        tracker.publish_waiting(publisher, config, stop).await?;
        tracker.announce(publisher, stop).await?;
        let busy = tracker.advance_replays(publisher, config, stop).await?;
        let rare = self.rare.is_due();
        if rare {
            tracker.find_forgotten().await?;
        }
        if rare || self.rare_busy {
            let sweeping = tracker.sweep(&mut self.sweep, publisher, config, stop).await?;
            self.rare_busy = tracker.erase().await? || sweeping;
        }
        if self.upkeep.is_due() {
            tracker.keep_up(config, stop).await?;
        }
        if self.parking.is_due() {
            tracker.redrive(&mut self.redrive).await;
        }
        // Last: no delivery waits for it.
        if rare {
            tracker.count_endpoints().await?;
        }
        Ok(busy || self.rare_busy)
    }

    /// Renews the lease when half of it is over.
    async fn hold_lease(&mut self) -> Result<bool, DutyError> {
        let now = Instant::now();
        if self.lease_until.is_some_and(|until| now + LEASE_TTL / 2 < until) {
            return Ok(true);
        }
        let held = self.tracker.store.lease(LEASE, self.holder, LEASE_TTL).await?;
        self.lease_until = held.then_some(now + LEASE_TTL);
        Ok(held)
    }
}

/// Due at once, and then every so often.
struct Due {
    every: Duration,
    next: Option<Instant>,
}

impl Due {
    fn every(every: Duration) -> Self {
        Self { every, next: None }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.next.is_none_or(|next| next <= now);
        if due {
            self.next = Some(now + self.every);
        }
        due
    }
}

impl Tracker {
    async fn publish_waiting(
        &self,
        publisher: &dyn Publisher,
        config: &DutyConfig,
        stop: &CancellationToken,
    ) -> Result<(), DutyError> {
        let taken = self.store.take_waiting(self.clock.now() + self.sweep_grace, config.batch).await?;
        self.publish_now(publisher, taken, |_| Lane::Slow, stop).await
    }

    /// Jobs of deliveries as they stand in the store.
    pub(crate) async fn publish_now(
        &self,
        publisher: &dyn Publisher,
        deliveries: Vec<Delivery>,
        lane: impl Fn(&Delivery) -> Lane,
        stop: &CancellationToken,
    ) -> Result<(), DutyError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        debug!(deliveries = deliveries.len(), "publishing from the store");
        let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
        let mut found: HashMap<_, _> =
            self.store.to_publish(&ids).await?.into_iter().map(|what| (what.delivery.id, what)).collect();
        let now = self.clock.now();
        // In the order of the deliveries: a replay's is that of its events.
        let ready = ids.iter().filter_map(|id| found.remove(id)).map(|what| {
            let at = match what.delivery.state {
                DeliveryState::Retrying { at } => Some(at),
                // A job with a time is compared with the store before it is sent (rule 4).
                _ => Some(now),
            };
            Ready { lane: lane(&what.delivery), at, jitter: Duration::ZERO, after: None, what }
        });
        let messages = job_messages(&*self.clock, &self.tiers, ready.collect());
        Ok(insist(publisher, messages, stop.cancelled()).await?)
    }
}
