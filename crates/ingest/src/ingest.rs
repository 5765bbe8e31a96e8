//! The loop: a batch of events, one transaction, the first jobs, the ack.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;
use whimbrel_core::contract::Contracts;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Job, PROTOBUF, encode_jobs};
use whimbrel_core::pace::{Pace, rest};
use whimbrel_core::port::{
    Accepted, Acker, Clock, Fanout, Lane, Message, Publisher, Queue, QueueError, Received, Route, Source, Store, insist,
};
use whimbrel_core::problem::Rejection;

use crate::batch::{Batch, Rejected, Sorted, chunks};
use crate::budget::Budget;
use crate::directory::{Directory, Tenants};
use crate::fanout::jobs;
use crate::publishers::Publishers;
use crate::read::read;
use crate::span;
use crate::storing::Halt;
use crate::unpack::unpack;

/// Messages taken at once, and events handled together: there may be several in a message.
const BATCH_MAX: usize = 256;
/// Unacked messages: two batches.
const PREFETCH: u16 = 512;
/// Between two batches, at least; less after a small one.
const GAP: Duration = Duration::from_millis(14);
/// So many deliveries share what their batch costs as well as more would. What is beyond them would only come to the sender
/// all at once: after such a batch the next one comes sooner.
const MANY: usize = 128;
const GAP_AFTER_MANY: Duration = Duration::from_millis(8);

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
    /// First jobs of what was taken last.
    deliveries: usize,
}

/// Consumes events until `stop` is cancelled. Only a fatal error of the queue ends it earlier.
pub async fn run(ingest: Ingest, stop: CancellationToken) -> Result<(), QueueError> {
    let mut consumer = ingest.queue.consume(Source::Events, PREFETCH).await?;
    let acker = consumer.acker();
    let publisher = ingest.queue.publisher();
    let mut pace = Pace::new(GAP);
    let budget = Budget::new(ingest.tenant_budget);
    let mut memory = Memory { directory: Directory::default(), budget, deliveries: 0 };
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
                let before = std::mem::take(&mut memory.deliveries);
                let gap = if before < MANY { GAP } else { GAP_AFTER_MANY };
                pace.ease(rest(batches.iter().map(Vec::len).sum(), gap));
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
        match self.take(publisher, memory, &batch, stop).await {
            Ok(rejected) => {
                self.park(publisher, &batch, rejected, stop).await?;
                acker.ack_through(last).await
            }
            Err(Halt::Stopping) => Ok(()),
            Err(Halt::Queue(error)) => Err(error),
        }
    }

    /// Stores the batch's events and publishes their first jobs; gives those that are to be parked. Copies of its tenants
    /// serve if there is one of each, and only who gets what is to be decided; otherwise, or when one turns out to be old,
    /// the tenants are read.
    async fn take(
        &self,
        publisher: &dyn Publisher,
        memory: &mut Memory,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Result<Rejected, Halt> {
        let ids = batch.tenants();
        let mut copies = if batch.is_checked() { memory.directory.copies(&ids) } else { None };
        loop {
            let tenants = match copies.take() {
                Some(copies) => copies,
                None => self.tenants(&mut memory.directory, &ids, stop).await?,
            };
            if let Some(rejected) = self.take_as_of(publisher, memory, batch, &tenants, stop).await? {
                return Ok(rejected);
            }
        }
    }

    /// `None` if the tenants turn out to have changed. What was stored until then has its jobs, and is a repeat next time.
    async fn take_as_of(
        &self,
        publisher: &dyn Publisher,
        memory: &mut Memory,
        batch: &Batch,
        tenants: &Tenants,
        stop: &CancellationToken,
    ) -> Result<Option<Rejected>, Halt> {
        let candidates = self.admit(batch, tenants, stop).await?;
        let sweep_at = self.clock.now() + self.sweep_grace;
        let Sorted { fanouts, places, spans, mut rejected } =
            Sorted::new(batch, candidates, tenants, sweep_at, &*self.clock);
        // Copies are confirmed by the store, so whatever does not go there is not for them to decide.
        if !tenants.are_certain() && fanouts.len() < batch.received.len() {
            return Ok(None);
        }
        let mut spans = spans.into_iter();
        let mut rest = &places[..];
        for chunk in chunks(&fanouts) {
            let places = rest.split_off(..chunk.len()).expect("as many places as fanouts");
            let Some(accepted) = self.accept(&tenants.as_of, chunk, stop).await? else { return Ok(None) };
            let stored = accepted.iter().filter(|accepted| accepted.is_ok()).count();
            metrics::counter!("whimbrel_events_accepted_total").increment(stored as u64);
            let again = places.iter().map(|place| batch.received[*place].redeliveries > 0);
            let jobs = self.jobs(chunk.iter().zip(&accepted).zip(again), tenants, &mut memory.budget);
            memory.deliveries += jobs.iter().map(|(_, jobs)| jobs.len()).sum::<usize>();
            self.publish(publisher, jobs, stop).await?;
            for (((fanout, place), accepted), span) in chunk.iter().zip(places).zip(accepted).zip(spans.by_ref()) {
                match accepted {
                    Ok(_) => span::accepted(span, fanout, &batch.received[*place], batch.begun, &*self.clock),
                    Err(rejection) => rejected.push((*place, rejection)),
                }
            }
        }
        Ok(Some(rejected))
    }

    async fn park(
        &self,
        publisher: &dyn Publisher,
        batch: &Batch,
        rejected: Rejected,
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
