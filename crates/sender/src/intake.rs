//! Packs from the queue → jobs in hand: what cannot be read is parked, what is stale is dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Job, decode_jobs};
use whimbrel_core::port::{Clock, Lane, Lookup, Message, Publisher, QueueError, Received, Route, Source};
use whimbrel_core::{DeliveryId, EndpointId};

use crate::acks::Acks;
use crate::cache::{EndpointCache, Known};
use crate::flight::{Flights, Pack, key};
use crate::measure;

const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// A job with what is known of its endpoint.
pub(crate) struct Ready {
    pub(crate) job: Job,
    pub(crate) known: Known,
}

/// Turns packs into jobs in hand.
pub(crate) struct JobIntake {
    pub(crate) store: Arc<dyn Lookup>,
    pub(crate) cache: Arc<EndpointCache>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl JobIntake {
    /// The jobs of these packs that are to be started. `None` when the process is stopping.
    pub(crate) async fn take(
        &self,
        lane: Lane,
        packs: Vec<Received>,
        acks: &Arc<Acks>,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Ready>>, QueueError> {
        let mut jobs = Vec::new();
        for pack in packs {
            jobs.extend(self.open(lane, pack, acks).await?);
        }
        let Some(fresh) = self.drop_stale(lane, jobs, stop).await else { return Ok(None) };
        Ok(self.with_endpoints(fresh, stop).await)
    }

    /// The pack's jobs that are not in hand already.
    async fn open(&self, lane: Lane, received: Received, acks: &Arc<Acks>) -> Result<Vec<Job>, QueueError> {
        let tag = received.tag;
        let jobs = match decode_jobs(received.payload.clone()) {
            Ok(jobs) => jobs,
            Err(error) => {
                error!(%error, "a job pack cannot be read and is parked");
                self.park(lane, received, &format!("malformed: {error}")).await?;
                Vec::new()
            }
        };
        measure::received(lane, jobs.len());
        // One more than the jobs, closed at once: so that a pack without jobs is acked, too.
        let pack = Pack::new(tag, jobs.len() + 1, acks);
        pack.close_one();
        Ok(jobs.into_iter().filter(|job| self.flights.begin(key(job), pack.clone())).collect())
    }

    async fn park(&self, lane: Lane, received: Received, reason: &str) -> Result<(), QueueError> {
        let message = Message {
            route: Route::Parking { source: Source::Jobs(lane), origin: received.origin(), reason: reason.to_owned() },
            id: PackId::generate(self.clock.now(), self.clock.random10()),
            content_type: received.content_type,
            payload: received.payload,
        };
        self.publisher.publish(vec![message]).await
    }

    /// Rule 4: what is not a first live attempt is compared with the store, and dropped when the
    /// delivery has moved on.
    async fn drop_stale(&self, lane: Lane, jobs: Vec<Job>, stop: &CancellationToken) -> Option<Vec<Job>> {
        let checked: Vec<DeliveryId> =
            jobs.iter().filter(|job| !is_first_live(lane, job)).map(|job| job.delivery).collect();
        if checked.is_empty() {
            return Some(jobs);
        }
        let positions = until_read(stop, || self.store.positions(&checked)).await?;
        let positions: HashMap<_, _> = positions.into_iter().map(|position| (position.id, position)).collect();
        let is_fresh =
            |job: &Job| is_first_live(lane, job) || positions.get(&job.delivery).is_some_and(|at| expects(at, job));
        let (fresh, stale): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_fresh);
        metrics::counter!("whimbrel_jobs_stale_total").increment(stale.len() as u64);
        for job in stale {
            self.flights.end(key(&job));
        }
        Some(fresh)
    }

    async fn with_endpoints(&self, jobs: Vec<Job>, stop: &CancellationToken) -> Option<Vec<Ready>> {
        let wanted: Vec<(EndpointId, i64)> = jobs.iter().map(|job| (job.endpoint, job.endpoint_version)).collect();
        let known = until_read(stop, || self.cache.get(&wanted)).await?;
        let ready = jobs.into_iter().map(|job| {
            let known = known.get(&job.endpoint).cloned().unwrap_or(Known::Missing);
            Ready { job, known }
        });
        Some(ready.collect())
    }
}

/// A first attempt on its first way: not parked, held back or swept meanwhile, so nothing can have overtaken it.
pub(crate) fn is_first_live(lane: Lane, job: &Job) -> bool {
    lane == Lane::Live && job.attempt == 1 && job.hops == 0 && job.not_before.is_none()
}

fn expects(position: &Delivery, job: &Job) -> bool {
    let has_job = matches!(position.state, DeliveryState::Pending | DeliveryState::Retrying { .. });
    has_job && position.round == job.round && position.attempt == job.attempt
}

/// Tries a read until the store answers: meanwhile the packs stay unacked, and the full prefetch keeps
/// the queue from sending more.
async fn until_read<T, F>(stop: &CancellationToken, read: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, whimbrel_core::port::StoreError>>,
{
    let mut backoff = Duration::from_millis(50);
    loop {
        match read().await {
            Ok(value) => return Some(value),
            Err(error) => warn!(%error, "the sender cannot read the store; tried again"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
        }
    }
}
