//! How late jobs are, and how many POSTs are under way, for the metrics.

use std::time::Duration;

use metrics::{Gauge, Histogram};
use whimbrel_core::Timestamp;
use whimbrel_core::contract::ContractName;
use whimbrel_core::message::Job;
use whimbrel_core::port::Lane;

/// Jobs as they come off the queue.
pub(crate) fn received(lane: Lane, jobs: usize) {
    metrics::counter!("whimbrel_jobs_received_total", "lane" => lane.as_str()).increment(jobs as u64);
}

/// How long POSTs to endpoints under a contract take.
pub(crate) fn durations(contract: &ContractName) -> Histogram {
    metrics::histogram!("whimbrel_attempt_duration_seconds", "contract" => contract.to_string())
}

/// What is measured of each job. Looked up once: by name and label that costs more than the measuring.
pub(crate) struct Measures {
    lanes: [OfLane; 3],
    first_attempt: Histogram,
}

struct OfLane {
    wait: Histogram,
    in_flight: Gauge,
}

impl Measures {
    pub(crate) fn new() -> Self {
        let lanes = Lane::ALL.map(|lane| OfLane {
            wait: metrics::histogram!("whimbrel_job_wait_seconds", "lane" => lane.as_str()),
            in_flight: metrics::gauge!("whimbrel_attempts_in_flight", "lane" => lane.as_str()),
        });
        Self { lanes, first_attempt: metrics::histogram!("whimbrel_first_attempt_latency_seconds") }
    }

    /// How long the job in hand has been due. A repeated or released one has no time of its own.
    pub(crate) fn waited(&self, lane: Lane, job: &Job, now: Timestamp) {
        let accepted = || (lane == Lane::Live).then(|| job.body.event.created_at());
        if let Some(due) = job.not_before.or_else(accepted).filter(|due| *due <= now) {
            record(&self.lanes[lane as usize].wait, now.since(due));
        }
    }

    /// Its POST begins now.
    pub(crate) fn begin(&self, lane: Lane, job: &Job, now: Timestamp) -> InFlight<'_> {
        if lane == Lane::Live && job.attempt == 1 && job.round == 1 {
            record(&self.first_attempt, now.since(job.body.event.created_at()));
        }
        let in_flight = &self.lanes[lane as usize].in_flight;
        in_flight.increment(1.0);
        InFlight(in_flight)
    }
}

pub(crate) fn record(histogram: &Histogram, time: Duration) {
    histogram.record(time.as_secs_f64());
}

/// A POST under way, counted for as long as this lives.
pub(crate) struct InFlight<'m>(&'m Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
