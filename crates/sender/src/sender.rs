//! The sender's loops: one per lane, one for notices, one for ends, one for idle connections.

mod handle;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;
use whimbrel_core::EndpointId;
use whimbrel_core::contract::Contracts;
use whimbrel_core::message::{decode, v1};
use whimbrel_core::port::{Clock, Consumer, Lane, Lookup, Publisher, Queue, QueueError, Source};
use whimbrel_core::tier::Tiers;

use crate::acks::{Acks, ack_loop};
use crate::cache::EndpointCache;
use crate::client::Client;
use crate::egress::EgressPolicy;
use crate::finish::{End, Finisher};
use crate::flight::Flights;
use crate::gate::Gates;
use crate::headroom::Headroom;
use crate::intake::{JobIntake, Ready};
use crate::measure::Measures;
use crate::starts::{Started, Starts};

/// What the sender works with.
#[derive(Clone)]
pub struct Sender {
    /// Endpoints, and the freshness of retries; only read.
    pub store: Arc<dyn Lookup>,
    /// Where jobs come from and outcomes go.
    pub queue: Arc<dyn Queue>,
    /// What receivers see.
    pub contracts: Contracts,
    /// The delays there are.
    pub tiers: Arc<Tiers>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// Where connections may go.
    pub egress: Arc<EgressPolicy>,
    /// Sizes.
    pub config: SenderConfig,
}

/// How much a sender does at once.
#[derive(Debug, Clone, Copy)]
pub struct SenderConfig {
    /// POSTs under way, for the lanes live, slow and bulk. Each takes up to 40 KB with its connection: what there is by
    /// default keeps a process below 60 MiB, with ten thousand endpoints in use, too.
    pub slots: [usize; 3],
    /// POSTs under way to one endpoint.
    pub endpoint_in_flight_max: usize,
    /// How long POSTs may go on after the stop signal.
    pub grace: Duration,
    /// Whether receivers get the header `traceparent`.
    pub traceparent: bool,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self { slots: [224, 160, 96], endpoint_in_flight_max: 128, grace: Duration::from_secs(25), traceparent: false }
    }
}

impl SenderConfig {
    /// Jobs in hand in a lane: enough to find one for each slot that becomes free.
    fn jobs_max(&self, lane: Lane) -> usize {
        self.slots[lane as usize].saturating_add(SPARE)
    }

    /// Unacked packs in a lane. A POST under way keeps its pack, which may hold nothing else: so with every slot at
    /// endpoints that hang there must still be packs for the others.
    fn prefetch(&self, lane: Lane) -> u16 {
        u16::try_from(self.jobs_max(lane)).unwrap_or(u16::MAX)
    }
}

/// What is in hand beside the POSTs under way.
const SPARE: usize = 128;

/// What the tasks of one sender share.
struct Shared {
    sender: Sender,
    client: Client,
    cache: Arc<EndpointCache>,
    flights: Arc<Flights>,
    gates: Gates,
    lanes: [Semaphore; 3],
    headroom: Headroom,
    measures: Measures,
    publisher: Arc<dyn Publisher>,
    ends: mpsc::Sender<End>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Runs until `stop` is cancelled; then starts no more POSTs, hands back what has not started, waits for
/// the rest within the grace period, and publishes every end.
pub async fn run(sender: Sender, stop: CancellationToken) -> Result<(), QueueError> {
    let publisher = sender.queue.publisher();
    let flights = Arc::new(Flights::default());
    let finisher =
        Arc::new(Finisher { publisher: publisher.clone(), clock: sender.clock.clone(), flights: flights.clone() });
    let (ends, ended) = mpsc::channel(1024);
    let finishing = tokio::spawn(finisher.run(ended));
    let shared = Arc::new(Shared::new(sender, publisher, flights, ends, stop.clone())?);
    let result = consume(&shared).await;
    stop.cancel();
    shared.tasks.close();
    if tokio::time::timeout(shared.sender.config.grace, shared.tasks.wait()).await.is_err() {
        warn!(jobs = shared.flights.open(), "the grace period is over; what is under way will be sent again");
    }
    drop(shared);
    // With a task still running, `ends` stays open: then the process ends with what is confirmed.
    match tokio::time::timeout(Duration::from_secs(5), finishing).await {
        Ok(Ok(finished)) => result.and(finished),
        _ => result,
    }
}

/// The lanes' loops and the notices', until the stop or the first fatal error.
async fn consume(shared: &Arc<Shared>) -> Result<(), QueueError> {
    let mut loops = tokio::task::JoinSet::new();
    for lane in Lane::ALL {
        loops.spawn(shared.clone().lane(lane));
    }
    loops.spawn(shared.clone().notices());
    loops.spawn(shared.clone().keep_connections());
    let mut result = Ok(());
    while let Some(ended) = loops.join_next().await {
        let ended = ended.unwrap_or_else(|error| Err(QueueError::Fatal(format!("a sender loop failed: {error}"))));
        if ended.is_err() {
            shared.stop.cancel();
            result = result.and(ended);
        }
    }
    result
}

impl Shared {
    fn new(
        sender: Sender,
        publisher: Arc<dyn Publisher>,
        flights: Arc<Flights>,
        ends: mpsc::Sender<End>,
        stop: CancellationToken,
    ) -> Result<Self, QueueError> {
        // As many as there can be POSTs: with fewer, a burst would open and close connections for nothing.
        let client = Client::new(sender.config.slots.iter().sum(), &sender.egress)
            .map_err(|error| QueueError::Fatal(format!("the http client cannot be built: {error}")))?;
        let cache = EndpointCache::new(
            sender.store.clone(),
            sender.contracts.clone(),
            sender.egress.clone(),
            sender.clock.clone(),
        );
        Ok(Self {
            client,
            cache: Arc::new(cache),
            flights,
            gates: Gates::new(sender.config.endpoint_in_flight_max),
            lanes: sender.config.slots.map(Semaphore::new),
            headroom: Headroom::new(),
            measures: Measures::new(),
            publisher,
            ends,
            stop,
            tasks: TaskTracker::new(),
            sender,
        })
    }

    async fn lane(self: Arc<Self>, lane: Lane) -> Result<(), QueueError> {
        let mut consumer = self.sender.queue.consume(Source::Jobs(lane), self.sender.config.prefetch(lane)).await?;
        let acks = Arc::new(Acks::default());
        let acker = tokio::spawn(ack_loop(consumer.acker(), acks.clone()));
        let intake = JobIntake {
            store: self.sender.store.clone(),
            cache: self.cache.clone(),
            flights: self.flights.clone(),
            publisher: self.publisher.clone(),
            clock: self.sender.clock.clone(),
        };
        let result = self.clone().receive(lane, &mut *consumer, &intake, &acks).await;
        // The consumer must live until the last ack: dropping it gives its unacked packs back.
        self.tasks.close();
        let _ = tokio::time::timeout(self.sender.config.grace, self.tasks.wait()).await;
        self.until_ended().await;
        acks.close();
        let _ = tokio::time::timeout(Duration::from_secs(2), acker).await;
        result
    }

    async fn receive(
        self: Arc<Self>,
        lane: Lane,
        consumer: &mut dyn Consumer,
        intake: &JobIntake,
        acks: &Arc<Acks>,
    ) -> Result<(), QueueError> {
        let config = &self.sender.config;
        let mut starts = Starts::new(config.slots[lane as usize], config.jobs_max(lane));
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                received = consumer.receive(packs_max(lane)) => received,
            };
            let packs = match received {
                Ok(packs) => packs,
                Err(QueueError::Closed) => return Ok(()),
                Err(error @ QueueError::Fatal(_)) => return Err(error),
                Err(error) => {
                    warn!(%error, %lane, "jobs cannot be consumed at the moment");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            let ready = match intake.take(lane, packs, acks, &self.stop).await {
                Ok(Some(ready)) => ready,
                Ok(None) => return Ok(()),
                Err(error @ QueueError::Fatal(_)) => return Err(error),
                Err(error) => {
                    warn!(%error, %lane, "jobs could not be taken");
                    continue;
                }
            };
            for Ready { job, known } in ready {
                // What has not started when the process stops is handed back.
                let started = self.stop.run_until_cancelled(self.start(lane, &mut starts)).await;
                // Without a block around it, which would hold the whole of it a second time. On the heap before it becomes
                // a task: on the way there it is moved several times.
                self.tasks.spawn(Box::pin(self.clone().handle(lane, job, known, started)));
            }
        }
    }

    /// Waits until one more job may start, and behind the live lane until there is headroom for it.
    async fn start(&self, lane: Lane, starts: &mut Starts) -> Started {
        if lane != Lane::Live {
            self.headroom.take().await;
        }
        starts.next().await
    }

    /// Waits until what has ended is published, within the time a flush may take.
    async fn until_ended(&self) {
        let give_up = tokio::time::Instant::now() + Duration::from_secs(5);
        while self.flights.open() > 0 && tokio::time::Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn keep_connections(self: Arc<Self>) -> Result<(), QueueError> {
        self.stop.run_until_cancelled(self.client.keep()).await;
        Ok(())
    }

    /// Forgets endpoints as they change; all of them when notices may have been missed (rule 10).
    async fn notices(self: Arc<Self>) -> Result<(), QueueError> {
        let mut consumer = self.sender.queue.consume(Source::Notices, 256).await?;
        let mut epoch = None;
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                received = consumer.receive(256) => received,
            };
            match received {
                Ok(notices) => {
                    for notice in notices {
                        if epoch.replace(notice.tag.epoch).is_some_and(|before| before != notice.tag.epoch) {
                            self.cache.flush();
                        }
                        self.forget(notice.payload);
                    }
                }
                Err(QueueError::Closed) => return Ok(()),
                Err(error @ QueueError::Fatal(_)) => return Err(error),
                Err(_) => {
                    self.cache.flush();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    fn forget(&self, payload: bytes::Bytes) {
        let notice = decode::<v1::Notice>("Notice", payload).ok();
        match notice.and_then(|notice| EndpointId::from_slice(&notice.endpoint_id).ok()) {
            Some(endpoint) => self.cache.forget(endpoint),
            None => self.cache.flush(),
        }
    }
}

/// Packs taken at once. What is started at a measured rate is taken in small helpings, too.
const fn packs_max(lane: Lane) -> usize {
    match lane {
        Lane::Live => 32,
        Lane::Slow | Lane::Bulk => 8,
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
