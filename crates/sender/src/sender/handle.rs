//! One job, to its end: due, a place at its endpoint and in its lane, the POST, and what its answer means to the
//! endpoint's other jobs.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::message::Job;
use whimbrel_core::outcome::{Attempted, ErrorKind, Fate, Reply};
use whimbrel_core::port::{Clock, Lane, Route};
use whimbrel_core::tier::{HOPS, Tier, Tiers};

use super::Shared;
use crate::cache::Known;
use crate::finish::End;
use crate::gate::{Place, Refused, START_WITHIN};
use crate::intake::is_first_live;
use crate::measure;
use crate::post::post;
use crate::span::AttemptSpan;
use crate::starts::Started;
use crate::target::Target;

/// By how much a throttled job waits longer than the pause, at most: a fraction of it.
const SPREAD_MAX: f64 = 0.1;

impl Shared {
    /// One job, to its end. Until then it keeps its place among those in hand.
    pub(super) async fn handle(self: Arc<Self>, lane: Lane, job: Job, known: Known, _started: Option<Started>) {
        let now = self.sender.clock.now();
        self.measures.waited(lane, &job, now);
        if is_first_live(lane, &job) {
            self.headroom.live(now.since(job.body.event.created_at()));
        }
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

    async fn attempt(&self, lane: Lane, mut job: Job, known: Known) -> End {
        let target = match known {
            Known::Target(target) if target.is_active => target,
            Known::Target(_) | Known::Missing => return End::outcome(job, Fate::NotActive),
            Known::Unready => return End::Moved(job, Route::Delay(Tier::new(HOPS[3]), lane)),
        };
        let gate = self.gates.of(job.endpoint, target.version, target.limits);
        let place = match gate.enter().await {
            Ok(place) => place,
            Err(Refused::Busy) => return over_cap(lane, job),
            Err(Refused::Closed(wait)) => return self.throttled(lane, job, wait),
        };
        let Some(_slot) = self.slot(lane).await else { return End::Moved(job, Route::Jobs(lane)) };
        // It may have closed while the lane was full.
        if let Some(wait) = gate.closed_for() {
            return self.throttled(lane, job, wait);
        }
        let clock = &*self.sender.clock;
        let under_way = self.measures.begin(lane, &job, clock.now());
        let span = AttemptSpan::begin(&job, clock);
        let traceparent = self.sender.config.traceparent.then(|| span.traceparent(&job)).flatten();
        let attempted = post(&self.client, clock, &target, &job, traceparent).await;
        drop(under_way);
        tell(&place, &target, &attempted);
        log_attempt(lane, &job, &target, &attempted);
        span.end(lane, &mut job, &target, &attempted);
        End::outcome(job, Fate::Attempted(attempted))
    }

    fn throttled(&self, lane: Lane, job: Job, wait: Duration) -> End {
        throttled(&*self.sender.clock, &self.sender.tiers, lane, job, wait)
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
        None => End::outcome(job, Fate::Deferred),
    }
}

/// Parked in the same lane until the receiver wants to be asked again, and a little longer, so that those who wait do
/// not all come at once. It uses neither an attempt nor a hop: the pause is the receiver's wish, and bounded.
pub(super) fn throttled(clock: &dyn Clock, tiers: &Tiers, lane: Lane, mut job: Job, wait: Duration) -> End {
    metrics::counter!("whimbrel_jobs_throttled_total", "lane" => lane.as_str()).increment(1);
    let spread = wait.mul_f64(SPREAD_MAX * clock.fraction());
    job.not_before = Some(clock.now() + wait + spread);
    // No schedule's jitter, of which the end may be cut off: then all would come when the pause is over.
    job.jitter = Duration::ZERO;
    End::Moved(job, Route::Delay(tiers.hop(wait + spread), lane))
}

/// What the gate learns of an attempt; without an answer, nothing.
pub(super) fn tell(place: &Place, target: &Target, attempted: &Attempted) {
    match &attempted.reply {
        Reply::Response { status, retry_after, .. }
            if target.prepared.contract.suspension().throttle_statuses.contains(status) =>
        {
            place.throttled(*retry_after);
        }
        Reply::Response { .. } => place.answered(),
        Reply::Error { kind: ErrorKind::Timeout, .. } => place.hung(),
        Reply::Error { .. } => place.failed(),
    }
}

/// The one wide line of each attempt.
fn log_attempt(lane: Lane, job: &Job, target: &Target, attempted: &Attempted) {
    let error = attempted.error().unwrap_or_default();
    measure::record(&target.prepared.durations, attempted.duration);
    tracing::event!(
        target: "whimbrel::attempt",
        tracing::Level::INFO,
        delivery.id = %job.delivery,
        event.id = %job.body.event,
        event.kind = job.body.event_type,
        endpoint.id = %job.endpoint,
        tenant.id = %target.tenant,
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
