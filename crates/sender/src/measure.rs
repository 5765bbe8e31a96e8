//! How late jobs are, and how many POSTs are under way, for the metrics.

use whimbrel_core::Timestamp;
use whimbrel_core::message::Job;
use whimbrel_core::port::Lane;

/// Jobs as they come off the queue.
pub(crate) fn received(lane: Lane, jobs: usize) {
    metrics::counter!("whimbrel_jobs_received_total", "lane" => lane.as_str()).increment(jobs as u64);
}

/// How long the job in hand has been due. A repeated or released one has no time of its own.
pub(crate) fn waited(lane: Lane, job: &Job, now: Timestamp) {
    let accepted = || (lane == Lane::Live).then(|| job.body.event.created_at());
    if let Some(due) = job.not_before.or_else(accepted).filter(|due| *due <= now) {
        metrics::histogram!("whimbrel_job_wait_seconds", "lane" => lane.as_str()).record(now.since(due).as_secs_f64());
    }
}

/// A POST under way, counted for as long as this lives.
pub(crate) struct InFlight(Lane);

impl InFlight {
    /// Its POST begins now.
    pub(crate) fn begin(lane: Lane, job: &Job, now: Timestamp) -> Self {
        if lane == Lane::Live && job.attempt == 1 && job.round == 1 {
            let latency = now.since(job.body.event.created_at());
            metrics::histogram!("whimbrel_first_attempt_latency_seconds").record(latency.as_secs_f64());
        }
        metrics::gauge!("whimbrel_attempts_in_flight", "lane" => lane.as_str()).increment(1.0);
        Self(lane)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("whimbrel_attempts_in_flight", "lane" => self.0.as_str()).decrement(1.0);
    }
}
