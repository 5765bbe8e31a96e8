//! Replays, a window at a time (rule 8): taken from the store, published in their lane, and again as outcomes come in.

use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info, info_span};
use whimbrel_core::id::ReplayId;
use whimbrel_core::port::{Forgotten, Page, Publisher};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_telemetry::DUTY;

use crate::duty::{DutyConfig, DutyError};
use crate::settle::Tracker;

/// Replays read at once.
const PAGE: u32 = 100;
/// Endpoints found again at a look.
const FORGOTTEN_MAX: u32 = 100;

impl Tracker {
    /// One step of every running replay; says whether any goes on.
    pub(crate) async fn advance_replays(
        &self,
        publisher: &dyn Publisher,
        config: &DutyConfig,
        stop: &CancellationToken,
    ) -> Result<bool, DutyError> {
        let mut page = Page { after: None, limit: PAGE };
        let mut running = false;
        loop {
            let replays = self.store.running_replays(page).await?;
            for replay in &replays {
                running |= self.advance(publisher, config, replay, stop).await?;
            }
            match replays.last() {
                Some(last) if replays.len() == PAGE as usize && !stop.is_cancelled() => page.after = Some(last.id),
                _ => return Ok(running),
            }
        }
    }

    async fn advance(
        &self,
        publisher: &dyn Publisher,
        config: &DutyConfig,
        replay: &Replay,
        stop: &CancellationToken,
    ) -> Result<bool, DutyError> {
        let now = self.clock.now();
        let step = self.store.advance_replay(replay.id, config.window, now, now + self.sweep_grace).await?;
        if step.state != ReplayState::Running {
            info!(replay = %replay.id, endpoint = %replay.endpoint, kind = replay.kind.as_str(), state = step.state.as_str(), "replay ended");
        }
        let kind = replay.kind.as_str();
        metrics::counter!("whimbrel_replayed_total", "kind" => kind).increment(step.taken.len() as u64);
        // Nothing that was taken is left to the sweep: until it is published, the window stays full.
        if !step.taken.is_empty() {
            let span = info_span!(target: DUTY, "replay", replay.kind = kind, deliveries = step.taken.len());
            self.publish_now(publisher, step.taken, |_| replay.kind.lane(), stop).instrument(span).await?;
        }
        Ok(step.state == ReplayState::Running)
    }

    /// Starts what nobody started: releases whose request was cut short, or whose last delivery came in as they
    /// ended, and what the sender deferred.
    pub(crate) async fn find_forgotten(&self) -> Result<(), DutyError> {
        for Forgotten { tenant, endpoint, kind } in self.store.forgotten(FORGOTTEN_MAX).await? {
            let now = self.clock.now();
            let id = ReplayId::generate(now, self.clock.random10());
            let replay = Replay::new(id, tenant, endpoint, kind, ReplayFilter::default(), now);
            if let Some(started) = self.store.start_replay(&replay).await?.filter(|started| started.id == id) {
                debug!(replay = %id, %endpoint, kind = kind.as_str(), total = started.total, "replay started");
            }
            if kind == ReplayKind::Release {
                metrics::counter!("whimbrel_releases_found_total").increment(1);
            }
        }
        Ok(())
    }
}
