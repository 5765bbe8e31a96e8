//! What keeps the store healthy: partitions ahead, retention, erasure, usage counts (rules 27 and 28).

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};
use whimbrel_core::Timestamp;
use whimbrel_core::port::{EndpointCounts, StoreError};
use whimbrel_telemetry::DUTY;

use crate::duty::{DutyConfig, DutyError};
use crate::settle::Tracker;

/// Deliveries expired, and payloads erased, in one transaction.
const CHUNK: u32 = 1_000;
const DAY: Duration = Duration::from_hours(24);

impl Tracker {
    /// The hourly duties, one after the other; each goes on where the last time ended.
    pub(crate) async fn keep_up(&self, config: &DutyConfig, stop: &CancellationToken) -> Result<(), DutyError> {
        let now = self.clock.now();
        self.store.prepare_days().await?;
        for day in [now.before(DAY), now] {
            self.store.count_usage(day).await?;
        }
        let span = info_span!(target: DUTY, "retention");
        self.retain(now.before(config.retention), stop).instrument(span).await
    }

    /// What never ended is failed first, so that nothing vanishes unsaid; then whole days or chunks go.
    async fn retain(&self, before: Timestamp, stop: &CancellationToken) -> Result<(), DutyError> {
        let mut expired = 0;
        while !stop.is_cancelled() {
            let chunk = self.store.expire(before, self.clock.now(), CHUNK).await?;
            expired += chunk;
            metrics::counter!("whimbrel_deliveries_expired_total").increment(chunk);
            if chunk < u64::from(CHUNK) {
                break;
            }
        }
        if expired > 0 {
            warn!(deliveries = expired, %before, "deliveries that never ended are older than the retention and failed");
        }
        while !stop.is_cancelled() {
            match self.store.prune(before, self.clock.now()).await {
                Ok(pruned) => {
                    metrics::counter!("whimbrel_pruned_total").increment(pruned.removed);
                    if pruned.removed > 0 {
                        info!(removed = pruned.removed, %before, "what is older than the retention was removed");
                    }
                    if !pruned.more {
                        break;
                    }
                }
                Err(StoreError::Refused(reason)) => {
                    warn!(reason, "what is older than the retention stays");
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// How many endpoints there are, by their status.
    pub(crate) async fn count_endpoints(&self) -> Result<(), DutyError> {
        show_endpoints(self.store.count_endpoints().await?);
        Ok(())
    }

    /// Payloads whose tenant asked for their erasure, chunk by chunk; says whether there may be more.
    pub(crate) async fn erase(&self) -> Result<bool, DutyError> {
        Ok(self.store.erase_step(CHUNK).await? > 0)
    }
}

/// A process without the lease shows none: what it counted last would stand beside what another counts now.
#[expect(clippy::cast_precision_loss, reason = "gauges")]
pub(crate) fn show_endpoints(counts: EndpointCounts) {
    let EndpointCounts { active, suspended, disabled } = counts;
    for (state, count) in [("active", active), ("suspended", suspended), ("disabled", disabled)] {
        metrics::gauge!("whimbrel_endpoints", "state" => state).set(count as f64);
    }
}
