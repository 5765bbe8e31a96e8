//! One job, to its end: due, a place at its endpoint and in its lane, the POST.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, Fate, Outcome};
use whimbrel_core::port::{Lane, Route};
use whimbrel_core::tier::{HOPS, Tier};

use super::Shared;
use crate::cache::{Known, Target};
use crate::finish::End;
use crate::gate::START_WITHIN;
use crate::post::post;

impl Shared {
    /// One job, to its end.
    pub(super) async fn handle(self: Arc<Self>, lane: Lane, job: Job, known: Known) {
        let end = match self.due(lane, &job).await {
            Some(route) => End::Moved(job, route),
            None => self.attempt(lane, job, known).await,
        };
        // Only a finisher that failed for good closes the channel; the process is ending then.
        let _ = self.ends.send(end).await;
    }

    /// Where a job goes that came before its time (rule 23); `None` when it is due. What remains of a
    /// second is waited out here: the shortest tier is longer.
    async fn due(&self, lane: Lane, job: &Job) -> Option<Route> {
        let not_before = job.not_before?;
        let now = self.sender.clock.now();
        let remaining = not_before.since(now);
        if remaining.is_zero() {
            return None;
        }
        // Jitter only: a fifth of it, or a second, is not worth another hop. The schedule itself is never cut.
        if remaining <= job.jitter && remaining < (job.jitter / 5).max(Duration::from_secs(1)) {
            return None;
        }
        if remaining >= Duration::from_secs(1) {
            return Some(Route::Delay(self.sender.tiers.hop(remaining), lane));
        }
        tokio::select! {
            () = self.stop.cancelled() => Some(Route::Jobs(lane)),
            () = tokio::time::sleep(remaining) => None,
        }
    }

    async fn attempt(&self, lane: Lane, job: Job, known: Known) -> End {
        let target = match known {
            Known::Target(target) if target.endpoint.status.is_active() => target,
            Known::Target(_) | Known::Missing => return outcome(job, Fate::NotActive),
            Known::Unready => return End::Moved(job, Route::Delay(Tier::new(HOPS[3]), lane)),
        };
        let gate = self.gates.of(job.endpoint);
        let Some(_place) = gate.enter().await else { return over_cap(lane, job) };
        let Some(_slot) = self.slot(lane).await else { return End::Moved(job, Route::Jobs(lane)) };
        let attempted = post(&self.clients, &*self.sender.clock, &target, &job).await;
        log_attempt(lane, &job, &target, &attempted);
        outcome(job, Fate::Attempted(attempted))
    }

    /// A place in the lane, while the broker takes results (rule 16) and the process is not stopping.
    async fn slot(&self, lane: Lane) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let mut blocked = self.publisher.blocked();
        let ready = async {
            let slot = self.lanes[lane as usize].acquire().await.ok()?;
            blocked.wait_for(|blocked| !blocked).await.ok()?;
            Some(slot)
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            slot = tokio::time::timeout(START_WITHIN, ready) => slot.ok().flatten(),
        }
    }
}

/// Parked for a while in the same lane; after the last hop the tracker keeps it (rule 17).
pub(super) fn over_cap(lane: Lane, mut job: Job) -> End {
    metrics::counter!("whimbrel_jobs_parked_total", "lane" => lane.as_str()).increment(1);
    match HOPS.get(job.hops as usize) {
        Some(hop) => {
            job.hops += 1;
            End::Moved(job, Route::Delay(Tier::new(*hop), lane))
        }
        None => outcome(job, Fate::Deferred),
    }
}

fn outcome(job: Job, fate: Fate) -> End {
    End::Outcome(Outcome {
        delivery: job.delivery,
        event: job.body.event,
        endpoint: job.endpoint,
        round: job.round,
        attempt: job.attempt,
        contract: job.contract,
        trace: job.trace,
        fate,
    })
}

/// The one wide line of each attempt.
fn log_attempt(lane: Lane, job: &Job, target: &Target, attempted: &Attempted) {
    let error = attempted.error().unwrap_or_default();
    metrics::histogram!("whimbrel_attempt_duration_seconds", "contract" => job.contract.to_string())
        .record(attempted.duration.as_secs_f64());
    tracing::event!(
        target: "whimbrel::attempt",
        tracing::Level::INFO,
        delivery.id = %job.delivery,
        event.id = %job.body.event,
        event.kind = job.body.event_type,
        endpoint.id = %job.endpoint,
        tenant.id = %target.endpoint.tenant,
        contract = %job.contract,
        lane = lane.as_str(),
        attempt = job.attempt,
        round = job.round,
        status = attempted.status_code(),
        duration_ms = u64::try_from(attempted.duration.as_millis()).unwrap_or(u64::MAX),
        success = attempted.is_success(),
        error = error,
        "attempt"
    );
}
