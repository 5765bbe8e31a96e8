//! Ends of jobs: outcomes and moved jobs are published in packs, a few flushes under way at once; when
//! a flush is confirmed its jobs are closed, and packs without open jobs are acked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Job, PROTOBUF, encode_jobs, encode_outcomes};
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::pace::Pace;
use whimbrel_core::port::{Clock, Message, Publisher, QueueError, Route, insist};

use crate::flight::{Flights, key};

/// Ends taken into one flush.
const FLUSH_MAX: usize = 256;
/// Between two flushes, at least, unless one is full: nobody waits for an outcome.
const GAP: Duration = Duration::from_millis(20);
/// Flushes under way at once.
const FLUSHES_MAX: usize = 6;

/// How a job ended here.
pub(crate) enum End {
    /// With an outcome.
    Outcome(Outcome),
    /// It goes on elsewhere: a delay tier, or its lane again.
    Moved(Job, Route),
}

impl End {
    /// With this outcome of the job.
    pub(crate) fn outcome(job: Job, fate: Fate) -> Self {
        Self::Outcome(Outcome {
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
}

/// Publishes ends and closes their jobs.
pub(crate) struct Finisher {
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flights: Arc<Flights>,
}

impl Finisher {
    /// Runs until every sender of ends is gone and all are published, or the queue fails for good.
    pub(crate) async fn run(self: Arc<Self>, mut ends: mpsc::Receiver<End>) -> Result<(), QueueError> {
        let places = Arc::new(Semaphore::new(FLUSHES_MAX));
        let mut flushes = tokio::task::JoinSet::new();
        let mut pace = Pace::new(GAP);
        let mut batch = Vec::with_capacity(FLUSH_MAX);
        while pace.keep(ends.recv_many(&mut batch, FLUSH_MAX)).await > 0 {
            if batch.len() == FLUSH_MAX {
                pace.hurry();
            }
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let finisher = self.clone();
            let flush = std::mem::take(&mut batch);
            flushes.spawn(async move {
                let flushed = finisher.flush(flush).await;
                drop(place);
                flushed
            });
            while let Some(flushed) = flushes.try_join_next() {
                flushed.map_err(|error| panicked(&error))??;
            }
        }
        while let Some(flushed) = flushes.join_next().await {
            flushed.map_err(|error| panicked(&error))??;
        }
        Ok(())
    }

    /// Tried until it works: the ends stay in memory, bounded by what is in hand (rule 15).
    async fn flush(&self, ends: Vec<End>) -> Result<(), QueueError> {
        let mut outcomes = Vec::new();
        let mut moved = Vec::new();
        for end in &ends {
            match end {
                End::Outcome(outcome) => {
                    let key = (outcome.delivery, outcome.round, outcome.attempt);
                    match outcome.fate {
                        Fate::Attempted(_) => outcomes.push(key),
                        // No attempt was used, so the tracker may publish this very one again, and the job may be back
                        // before the confirm is: it must not be taken for a copy of the one in hand.
                        Fate::NotActive | Fate::Deferred => moved.push(self.flights.give_up(key)),
                    }
                }
                End::Moved(job, _) => moved.push(self.flights.give_up(key(job))),
            }
        }
        let messages = self.messages(ends);
        insist(&*self.publisher, messages, std::future::pending()).await?;
        for key in outcomes {
            self.flights.end(key);
        }
        for moving in moved {
            self.flights.moved(&moving);
        }
        Ok(())
    }

    fn messages(&self, ends: Vec<End>) -> Vec<Message> {
        let mut outcomes = Vec::new();
        let mut moved: HashMap<RouteKey, (Route, Vec<Job>)> = HashMap::new();
        for end in ends {
            match end {
                End::Outcome(outcome) => outcomes.push(outcome),
                End::Moved(job, route) => {
                    moved.entry(RouteKey::of(&route)).or_insert_with(|| (route, Vec::new())).1.push(job);
                }
            }
        }
        let outcomes = encode_outcomes(&outcomes).into_iter().map(|payload| self.message(Route::Outcomes, payload));
        let moved = moved
            .into_values()
            .flat_map(|(route, jobs)| encode_jobs(&jobs).into_iter().map(move |payload| (route.clone(), payload)));
        outcomes.chain(moved.map(|(route, payload)| self.message(route, payload))).collect()
    }

    fn message(&self, route: Route, payload: Bytes) -> Message {
        let id = PackId::generate(self.clock.now(), self.clock.random10());
        Message { route, id, content_type: PROTOBUF.into(), payload }
    }
}

/// Moved jobs travel packed by lane and tier.
#[derive(PartialEq, Eq, Hash)]
struct RouteKey(String);

impl RouteKey {
    fn of(route: &Route) -> Self {
        Self(format!("{route:?}"))
    }
}

fn panicked(error: &tokio::task::JoinError) -> QueueError {
    QueueError::Fatal(format!("a flush of results failed: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use tokio::sync::watch;
    use tokio::time::Instant;
    use whimbrel_core::message::decode_outcomes;
    use whimbrel_core::port::SystemClock;

    use super::*;
    use crate::testing::job;

    /// Confirms at once, and keeps the number of outcomes in each publish.
    #[derive(Default)]
    struct Broker(Mutex<Vec<usize>>);

    #[async_trait]
    impl Publisher for Broker {
        async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
            let outcomes =
                messages.into_iter().map(|message| decode_outcomes(message.payload).expect("outcomes").len());
            self.0.lock().expect("not poisoned").push(outcomes.sum());
            Ok(())
        }

        fn blocked(&self) -> watch::Receiver<bool> {
            watch::channel(false).1
        }
    }

    /// How long `count` ends take that are all there at once, and how many went together.
    async fn flushed(count: usize) -> (Duration, Vec<usize>) {
        let publisher = Arc::new(Broker::default());
        let flights = Arc::new(Flights::default());
        let finisher = Finisher { publisher: publisher.clone(), clock: Arc::new(SystemClock), flights };
        let (ends, ended) = mpsc::channel(count);
        for _ in 0..count {
            ends.try_send(End::outcome(job(0), Fate::Deferred)).expect("room");
        }
        drop(ends);
        let begun = Instant::now();
        Arc::new(finisher).run(ended).await.expect("published");
        (begun.elapsed(), std::mem::take(&mut *publisher.0.lock().expect("not poisoned")))
    }

    #[tokio::test(start_paused = true)]
    async fn full_flushes_follow_one_another_at_once() {
        let (took, flushes) = flushed(20 * FLUSH_MAX).await;
        assert_eq!((took, flushes), (Duration::ZERO, vec![FLUSH_MAX; 20]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_smaller_one_is_the_last_for_a_while() {
        let (took, flushes) = flushed(FLUSH_MAX + 1).await;
        assert_eq!((took, flushes), (GAP, vec![FLUSH_MAX, 1]));
    }
}
