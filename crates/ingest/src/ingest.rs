//! The loop: a batch of events, one transaction, the first jobs, the ack.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use whimbrel_core::contract::Contracts;
use whimbrel_core::event::Event;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Job, PROTOBUF, encode_jobs};
use whimbrel_core::pace::Pace;
use whimbrel_core::port::{
    Accepted, Acker, Clock, Fanout, Lane, Message, Publisher, Queue, QueueError, Received, Route, Source, Store,
    StoreError, insist,
};
use whimbrel_core::problem::Rejection;
use whimbrel_core::{TenantId, Timestamp};
use whimbrel_telemetry::Span;

use crate::admit::{check, claim};
use crate::budget::Budget;
use crate::directory::{Directory, Tenants};
use crate::fanout::{fanout, jobs};
use crate::publishers::Publishers;
use crate::read::{Incoming, read};
use crate::span;
use crate::unpack::unpack;

/// Messages taken at once, and events handled together: there may be several in a message.
const BATCH_MAX: usize = 256;
/// Unacked messages: two batches.
const PREFETCH: u16 = 512;
/// Deliveries written in one transaction, unless a single event has more (rule 21).
const DELIVERIES_MAX: usize = 4096;
/// Between two batches, at least; less after a small one.
const GAP: Duration = Duration::from_millis(8);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What ingest works with.
#[derive(Clone)]
pub struct Ingest {
    /// Tenants, subscriptions, events.
    pub store: Arc<dyn Store>,
    /// Where events come from and jobs go.
    pub queue: Arc<dyn Queue>,
    /// What receivers see.
    pub contracts: Contracts,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
    /// How long the log is kept: older events are refused (rule 28).
    pub retention: Duration,
    /// How long after a job is due the sweep looks whether its attempt was made.
    pub sweep_grace: Duration,
    /// Who may publish for whom.
    pub publishers: Publishers,
    /// Deliveries a second that a tenant may have in the live lane while others publish, too (rule 35).
    pub tenant_budget: u32,
}

/// What the loop keeps from batch to batch.
struct Memory {
    directory: Directory,
    budget: Budget,
}

/// A batch between its receipt and its ack.
struct Batch {
    received: Vec<Received>,
    incoming: Vec<Result<Incoming, Rejection>>,
    begun: Timestamp,
}

/// A batch, sorted by where it goes.
#[derive(Default)]
struct Sorted {
    /// What goes to the store.
    fanouts: Vec<Fanout>,
    /// The place of each in the batch.
    places: Vec<usize>,
    /// The span of each.
    spans: Vec<Option<Span>>,
    /// What goes to parking, by place.
    rejected: Vec<(usize, Rejection)>,
}

/// Consumes events until `stop` is cancelled. Only a fatal error of the queue ends it earlier.
pub async fn run(ingest: Ingest, stop: CancellationToken) -> Result<(), QueueError> {
    let mut consumer = ingest.queue.consume(Source::Events, PREFETCH).await?;
    let acker = consumer.acker();
    let publisher = ingest.queue.publisher();
    let mut pace = Pace::new(GAP);
    let mut memory = Memory { directory: Directory::default(), budget: Budget::new(ingest.tenant_budget) };
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            received = pace.keep(consumer.receive(BATCH_MAX)) => received,
        };
        let handled = match received {
            Ok(received) => {
                if received.len() == BATCH_MAX {
                    pace.hurry();
                }
                let batches = unpack(received, BATCH_MAX);
                pace.ease(batches.iter().map(Vec::len).sum());
                ingest.batches(&*publisher, &*acker, &mut memory, batches, &stop).await
            }
            Err(error) => Err(error),
        };
        match handled {
            Ok(()) => {}
            Err(QueueError::Closed) => return Ok(()),
            Err(error @ QueueError::Fatal(_)) => return Err(error),
            Err(error) => {
                warn!(%error, "events were not acked and will come again");
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(Duration::from_millis(200)) => {}
                }
            }
        }
    }
}

impl Ingest {
    async fn batches(
        &self,
        publisher: &dyn Publisher,
        acker: &dyn Acker,
        memory: &mut Memory,
        batches: Vec<Vec<Received>>,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        for events in batches {
            self.batch(publisher, acker, memory, events, stop).await?;
            // One that was left because of it is not acked, and the ack of a later one would be its, too.
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn batch(
        &self,
        publisher: &dyn Publisher,
        acker: &dyn Acker,
        memory: &mut Memory,
        received: Vec<Received>,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        let Some(last) = received.last().map(|message| message.tag) else { return Ok(()) };
        let incoming = received.iter().map(|message| self.publishers.admit(message, read(message)?)).collect();
        let batch = Batch { received, incoming, begun: self.clock.now() };
        let Some((tenants, candidates)) = self.admit(&mut memory.directory, &batch, stop).await else { return Ok(()) };
        let Sorted { fanouts, places, spans, mut rejected } = self.sort(&batch, candidates, &tenants);
        let mut spans = spans.into_iter();
        let mut rest = &places[..];
        for chunk in chunks(&fanouts) {
            let places = rest.split_off(..chunk.len()).expect("as many places as fanouts");
            let Some(accepted) = self.accept(chunk, stop).await else { return Ok(()) };
            let again = places.iter().map(|place| batch.received[*place].redeliveries > 0);
            let jobs = self.jobs(chunk.iter().zip(&accepted).zip(again), &tenants, &mut memory.budget);
            self.publish(publisher, jobs, stop).await?;
            for (((fanout, place), accepted), span) in chunk.iter().zip(places).zip(accepted).zip(spans.by_ref()) {
                match accepted {
                    Ok(_) => span::accepted(span, fanout, &batch.received[*place], batch.begun, &*self.clock),
                    Err(rejection) => rejected.push((*place, rejection)),
                }
            }
        }
        self.park(publisher, &batch, rejected, stop).await?;
        acker.ack_through(last).await
    }

    /// Tried until the store answers: meanwhile the batch stays unacked. `None` when stopping.
    async fn admit(
        &self,
        directory: &mut Directory,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Option<(Tenants, Vec<Result<Event, Rejection>>)> {
        let mut ids: Vec<TenantId> = batch.incoming.iter().flatten().map(|incoming| incoming.tenant.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut backoff = Duration::from_millis(50);
        loop {
            match self.try_admit(directory, batch, &ids).await {
                Ok(admitted) => return Some(admitted),
                Err(error) => pause(&error, &mut backoff, stop).await?,
            }
        }
    }

    async fn try_admit(
        &self,
        directory: &mut Directory,
        batch: &Batch,
        ids: &[TenantId],
    ) -> Result<(Tenants, Vec<Result<Event, Rejection>>), StoreError> {
        let tenants = if ids.is_empty() { Tenants::new() } else { directory.read(&*self.store, ids).await? };
        let contracts = self.contracts.current();
        let mut candidates = check(&batch.incoming, &tenants, &contracts, self.retention, &*self.clock);
        claim(&*self.store, &batch.incoming, &mut candidates, &tenants, &contracts, self.clock.now()).await?;
        Ok((tenants, candidates))
    }

    /// What goes to the store, and what goes to parking.
    fn sort(&self, batch: &Batch, candidates: Vec<Result<Event, Rejection>>, tenants: &Tenants) -> Sorted {
        let sweep_at = self.clock.now() + self.sweep_grace;
        let mut sorted = Sorted::default();
        sorted.fanouts.reserve(candidates.len());
        for (place, candidate) in candidates.into_iter().enumerate() {
            match candidate {
                Ok(mut event) => {
                    let span = span::begin(&batch.incoming[place], &mut event, &*self.clock);
                    let known = tenants.get(&event.tenant).map(|(_, known)| known.clone()).unwrap_or_default();
                    let except = batch.incoming[place].as_ref().ok().and_then(|incoming| incoming.except_endpoint);
                    if let Some(fanout) = fanout(event, &known.roster, except, sweep_at) {
                        sorted.fanouts.push(fanout);
                        sorted.places.push(place);
                        sorted.spans.push(span);
                    }
                }
                Err(rejection) => sorted.rejected.push((place, rejection)),
            }
        }
        metrics::counter!("whimbrel_events_accepted_total").increment(sorted.fanouts.len() as u64);
        sorted
    }

    async fn park(
        &self,
        publisher: &dyn Publisher,
        batch: &Batch,
        rejected: Vec<(usize, Rejection)>,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        let messages: Vec<Message> = rejected
            .into_iter()
            .map(|(place, rejection)| {
                let received = &batch.received[place];
                warn!(reason = rejection.reason, message = %rejection.message, message_id = received.message_id, "an event is parked");
                span::rejected(&batch.incoming[place], received, &rejection, batch.begun, &*self.clock);
                metrics::counter!("whimbrel_events_rejected_total", "reason" => rejection.reason, "source" => "amqp").increment(1);
                Message {
                    route: Route::Parking { source: Source::Events, origin: received.origin(), reason: format!("{}: {}", rejection.reason, rejection.message) },
                    id: PackId::generate(self.clock.now(), self.clock.random10()),
                    content_type: received.content_type.clone(),
                    payload: received.payload.clone(),
                }
            })
            .collect();
        insist(publisher, messages, stop.cancelled()).await
    }

    /// Tried until the store takes it; a chunk that the store refuses is taken event by event, and the
    /// one at fault is parked (rule 19).
    async fn accept(&self, chunk: &[Fanout], stop: &CancellationToken) -> Option<Vec<Result<Accepted, Rejection>>> {
        let mut backoff = Duration::from_millis(50);
        loop {
            let begun = tokio::time::Instant::now();
            let accepted = self.store.accept(chunk).await;
            metrics::histogram!("whimbrel_store_commit_seconds", "call" => "accept")
                .record(begun.elapsed().as_secs_f64());
            match accepted {
                Ok(accepted) => return Some(accepted.into_iter().map(Ok).collect()),
                Err(StoreError::Refused(reason)) if chunk.len() == 1 => {
                    error!(event = %chunk[0].event.id, reason, "the store refuses this event");
                    let message = format!("the store cannot take it: {reason}");
                    return Some(vec![Err(Rejection::new("store_refused", "", message))]);
                }
                Err(StoreError::Refused(_)) => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    let mut accepted = Box::pin(self.accept(first, stop)).await?;
                    accepted.extend(Box::pin(self.accept(second, stop)).await?);
                    return Some(accepted);
                }
                Err(error) => pause(&error, &mut backoff, stop).await?,
            }
        }
    }

    /// A blocked broker gets nothing: the sweep publishes what is pending (rule 16).
    async fn publish(
        &self,
        publisher: &dyn Publisher,
        lanes: [(Lane, Vec<Job>); 2],
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        if *publisher.blocked().borrow() {
            warn!("the broker is blocked; first attempts are left to the sweep");
            return Ok(());
        }
        let now = self.clock.now();
        let packs = lanes.iter().flat_map(|(lane, jobs)| encode_jobs(jobs).into_iter().map(|payload| (*lane, payload)));
        let message = |(lane, payload)| Message {
            route: Route::Jobs(lane),
            id: PackId::generate(now, self.clock.random10()),
            content_type: PROTOBUF.into(),
            payload,
        };
        insist(publisher, packs.map(message).collect(), stop.cancelled()).await
    }

    /// The first attempts, by lane.
    fn jobs<'a>(
        &self,
        chunk: impl Iterator<Item = ((&'a Fanout, &'a Result<Accepted, Rejection>), bool)>,
        tenants: &'a Tenants,
        budget: &mut Budget,
    ) -> [(Lane, Vec<Job>); 2] {
        let now = self.clock.now();
        let (mut live, mut bulk) = (Vec::new(), Vec::new());
        for ((fanout, accepted), again) in chunk {
            // A repeat by its publisher (rule 6) has an earlier message, which sees to the jobs until they are
            // confirmed. Only a message that comes again may have died half-way.
            let accepted = accepted.as_ref().ok().filter(|accepted| !accepted.repeated || again);
            if let (Some(accepted), Some((head, known))) = (accepted, tenants.get(&fanout.event.tenant)) {
                let lane = match budget.lane(&fanout.event.tenant, accepted.pending.len(), now) {
                    Lane::Live => &mut live,
                    Lane::Slow | Lane::Bulk => &mut bulk,
                };
                lane.extend(jobs(fanout, accepted, &head.contract, &known.roster));
            }
        }
        [(Lane::Live, live), (Lane::Bulk, bulk)]
    }
}

/// Waits before the next try; `None` when stopping.
async fn pause(error: &StoreError, backoff: &mut Duration, stop: &CancellationToken) -> Option<()> {
    warn!(%error, "ingest cannot use the store at the moment; tried again");
    tokio::select! {
        () = stop.cancelled() => None,
        () = tokio::time::sleep(*backoff) => {
            *backoff = (*backoff * 2).min(BACKOFF_MAX);
            Some(())
        }
    }
}

/// Parts of a batch with at most [`DELIVERIES_MAX`] deliveries each, or a single event.
fn chunks(fanouts: &[Fanout]) -> Vec<&[Fanout]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut deliveries = 0;
    for (place, fanout) in fanouts.iter().enumerate() {
        if place > start && deliveries + fanout.deliveries.len() > DELIVERIES_MAX {
            chunks.push(&fanouts[start..place]);
            start = place;
            deliveries = 0;
        }
        deliveries += fanout.deliveries.len();
    }
    if start < fanouts.len() {
        chunks.push(&fanouts[start..]);
    }
    chunks
}
