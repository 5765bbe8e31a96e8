//! The sweep (rule 18): deliveries that are overdue in the store and have no job any more are published again.
//!
//! A long queue makes deliveries late too, and publishing those again would only make it longer. So a lane is asked
//! first: the overdue deliveries that came last are published as probes. Queues are first in, first out, or nearly so;
//! once those deliveries have moved on, the older jobs have had their turn, and what is overdue still has lost its own.
//! What is published in vain all the same is dropped by the sender, which compares it with the store.

use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span, warn};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::port::{Lane, Publisher};
use whimbrel_telemetry::DUTY;

use crate::duty::{DutyConfig, DutyError};
use crate::settle::Tracker;

/// What the sweep knows of each lane.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    lanes: [Asked; 3],
}

/// Deliveries that a lane is asked with.
const PROBES: u32 = 16;

#[derive(Debug, Default, Clone)]
enum Asked {
    /// Nothing was overdue at the last look.
    #[default]
    Not,
    /// These deliveries, as they stood, are on their way through the lane since then.
    Probes(Vec<Delivery>, Timestamp),
    /// Everything published before this has had its turn.
    Passed(Timestamp),
}

impl Tracker {
    /// One look at every lane; says whether any has something overdue. In health none ever has.
    pub(crate) async fn sweep(
        &self,
        sweep: &mut Sweep,
        publisher: &dyn Publisher,
        config: &DutyConfig,
        stop: &CancellationToken,
    ) -> Result<bool, DutyError> {
        let mut busy = false;
        for lane in Lane::ALL {
            let asked = &mut sweep.lanes[lane as usize];
            *asked = self.look(std::mem::take(asked), lane, publisher, config, stop).await?;
            busy |= !matches!(asked, Asked::Not);
        }
        Ok(busy)
    }

    async fn look(
        &self,
        asked: Asked,
        lane: Lane,
        publisher: &dyn Publisher,
        config: &DutyConfig,
        stop: &CancellationToken,
    ) -> Result<Asked, DutyError> {
        let now = self.clock.now();
        match asked {
            Asked::Not => self.probe(lane, now, publisher, stop).await,
            Asked::Probes(probes, since) => self.wait(probes, since, now, config).await,
            Asked::Passed(until) => {
                let overdue = self.store.overdue(lane, until, now, config.sweep_base, config.batch).await?;
                let all = overdue.len() < config.batch as usize;
                self.sweep_up(overdue, lane, publisher, stop).await?;
                Ok(if all { Asked::Not } else { Asked::Passed(until) })
            }
        }
    }

    async fn probe(
        &self,
        lane: Lane,
        now: Timestamp,
        publisher: &dyn Publisher,
        stop: &CancellationToken,
    ) -> Result<Asked, DutyError> {
        let probes = self.store.last_overdue(lane, now, PROBES).await?;
        if probes.is_empty() {
            return Ok(Asked::Not);
        }
        self.sweep_up(probes.clone(), lane, publisher, stop).await?;
        Ok(Asked::Probes(probes, now))
    }

    /// Probes that moved on are forgotten; with the last of them, the lane has passed. After a while most are enough:
    /// an endpoint may be holding up its own.
    async fn wait(
        &self,
        mut probes: Vec<Delivery>,
        since: Timestamp,
        now: Timestamp,
        config: &DutyConfig,
    ) -> Result<Asked, DutyError> {
        let ids: Vec<_> = probes.iter().map(|probe| probe.id).collect();
        let positions = self.store.positions(&ids).await?;
        probes.retain(|probe| positions.contains(probe));
        let patience = config.sweep_base;
        let waited = now.since(since);
        Ok(match probes.len() {
            0 => Asked::Passed(since),
            left if left <= PROBES as usize / 4 && waited > patience / 2 => Asked::Passed(since),
            // Lost as well, or stuck behind a stopped sender: asked again.
            _ if waited > patience => Asked::Not,
            _ => Asked::Probes(probes, since),
        })
    }

    async fn sweep_up(
        &self,
        overdue: Vec<Delivery>,
        lane: Lane,
        publisher: &dyn Publisher,
        stop: &CancellationToken,
    ) -> Result<(), DutyError> {
        if overdue.is_empty() {
            return Ok(());
        }
        warn!(deliveries = overdue.len(), %lane, "overdue deliveries are published again");
        metrics::counter!("whimbrel_sweep_republished_total", "lane" => lane.as_str()).increment(overdue.len() as u64);
        let span = info_span!(target: DUTY, "sweep", lane = lane.as_str(), deliveries = overdue.len());
        self.publish_now(publisher, overdue, |_| lane, stop).instrument(span).await
    }
}
