//! What a process asks its engine every quarter of a minute, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use whimbrel_core::port::{Queue, Store};
use whimbrel_core::tier::Tiers;

use crate::measured::Dues;
use crate::wiring::Role;

const EVERY: Duration = Duration::from_secs(15);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks.
pub(crate) struct Gauges {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) dues: Arc<Dues>,
    pub(crate) tiers: Arc<Tiers>,
    /// Of this process.
    pub(crate) roles: Vec<Role>,
}

impl Gauges {
    /// Until `stop` is cancelled.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.begin();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if stop.run_until_cancelled(self.look()).await.is_none() {
                return;
            }
        }
    }

    /// Every tier's counters at 0: a counter that begins at 1 has not risen, as Prometheus sees it.
    fn begin(&self) {
        for tier in self.tiers.iter() {
            if self.has(Role::Sender) || self.has(Role::Tracker) {
                metrics::counter!("whimbrel_tier_due_total", "tier" => tier.to_string()).increment(0);
            }
            if self.has(Role::Sender) {
                metrics::counter!("whimbrel_tier_left_total", "tier" => tier.to_string()).increment(0);
            }
        }
    }

    fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    async fn look(&self) {
        for (tier, count) in self.dues.take(Instant::now()) {
            metrics::counter!("whimbrel_tier_due_total", "tier" => tier.to_string()).increment(count);
        }
        let blocked = *self.queue.publisher().blocked().borrow();
        metrics::gauge!("whimbrel_queue_blocked").set(f64::from(u8::from(blocked)));
        tokio::join!(ping("store", self.store.ping()), ping("queue", self.queue.ping()), self.depths());
    }

    /// The tracker's alone, so that no queue is counted by every process.
    async fn depths(&self) {
        if !self.has(Role::Tracker) {
            return;
        }
        match timeout(PATIENCE, self.queue.depths()).await {
            Ok(Ok(rows)) => {
                for row in rows {
                    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
                    metrics::gauge!("whimbrel_queue_depth", "queue" => row.name).set(row.ready as f64);
                }
            }
            Ok(Err(error)) => debug!(%error, "the depths of the queues cannot be read"),
            Err(_) => debug!("the depths of the queues were not told in time"),
        }
    }
}

async fn ping<T, E>(port: &'static str, answer: impl Future<Output = Result<T, E>>) {
    let begun = Instant::now();
    let answered = timeout(PATIENCE, answer).await.is_ok_and(|answer| answer.is_ok());
    metrics::histogram!("whimbrel_ping_seconds", "port" => port).record(begun.elapsed().as_secs_f64());
    if !answered {
        metrics::counter!("whimbrel_ping_failures_total", "port" => port).increment(1);
    }
}
