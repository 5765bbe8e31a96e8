//! The loop: a batch of outcomes, one transaction, the publishes, the ack.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use whimbrel_core::contract::Contracts;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PROTOBUF, decode_outcomes, id_bytes, v1};
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::pace::Pace;
use whimbrel_core::port::{
    Acker, Clock, Lane, Message, Publisher, Queue, QueueError, Received, Route, Source, Store, StoreError, Suspended,
    ToPublish, insist,
};
use whimbrel_core::tier::Tiers;
use whimbrel_core::{DeliveryId, EndpointId};

use crate::fold::{Folded, Planned, Rules, fold};
use crate::publish::{Ready, job_messages};
use crate::span;

/// Packs taken at once. With 64 outcomes a pack this bounds a transaction at 2,048 outcomes.
const BATCH_PACKS_MAX: usize = 32;
/// Unacked packs: two batches, so that the next one is there when a commit returns.
const PREFETCH: u16 = 64;
/// Between two batches, at least, unless one is full.
const GAP: Duration = Duration::from_millis(20);
/// The longest pause between tries while the store or the queue is away.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What the tracker works with.
#[derive(Clone)]
pub struct Tracker {
    /// The log.
    pub store: Arc<dyn Store>,
    /// Where outcomes come from and retries go.
    pub queue: Arc<dyn Queue>,
    /// The rules.
    pub contracts: Contracts,
    /// The delays there are.
    pub tiers: Arc<Tiers>,
    /// Time and jitter.
    pub clock: Arc<dyn Clock>,
    /// How long after a job is due the sweep looks whether its attempt was made.
    pub sweep_grace: Duration,
}

/// Consumes outcomes until `stop` is cancelled; then finishes the batch in hand and returns.
/// Only a fatal error of the queue ends it earlier.
pub async fn run(tracker: Tracker, stop: CancellationToken) -> Result<(), QueueError> {
    let mut consumer = tracker.queue.consume(Source::Outcomes, PREFETCH).await?;
    let acker = consumer.acker();
    let publisher = tracker.queue.publisher();
    let mut pace = Pace::new(GAP);
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            received = pace.keep(consumer.receive(BATCH_PACKS_MAX)) => received,
        };
        match received {
            Ok(packs) => {
                if packs.len() == BATCH_PACKS_MAX {
                    pace.hurry();
                }
                if let Err(error) = tracker.batch(&*publisher, &*acker, packs, &stop).await {
                    match error {
                        QueueError::Fatal(_) => return Err(error),
                        _ if stop.is_cancelled() => return Ok(()),
                        _ => warn!(%error, "a batch of outcomes was not acked and will come again"),
                    }
                }
            }
            Err(QueueError::Closed) => return Ok(()),
            Err(error @ QueueError::Fatal(_)) => return Err(error),
            Err(error) => {
                warn!(%error, "outcomes cannot be consumed at the moment");
                tokio::time::sleep(BACKOFF_MAX).await;
            }
        }
    }
}

impl Tracker {
    async fn batch(
        &self,
        publisher: &dyn Publisher,
        acker: &dyn Acker,
        packs: Vec<Received>,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        let Some(last) = packs.last().map(|pack| pack.tag) else { return Ok(()) };
        let begun = self.clock.now();
        let outcomes = self.decode(publisher, packs, stop).await?;
        if let Some(folded) = self.settle(&outcomes, stop).await {
            count(&outcomes, &folded);
            self.publish(publisher, &outcomes, &folded, stop).await?;
            span::settled(&outcomes, &folded, begun, &*self.clock);
            return acker.ack_through(last).await;
        }
        Ok(())
    }

    /// What cannot be read is parked with the reason; the rest goes on.
    async fn decode(
        &self,
        publisher: &dyn Publisher,
        packs: Vec<Received>,
        stop: &CancellationToken,
    ) -> Result<Vec<Outcome>, QueueError> {
        let mut outcomes = Vec::new();
        for pack in packs {
            match decode_outcomes(pack.payload.clone()) {
                Ok(decoded) => outcomes.extend(decoded),
                Err(error) => {
                    error!(%error, "an outcome pack cannot be read and is parked");
                    let (origin, reason) = (pack.origin(), format!("malformed: {error}"));
                    let route = Route::Parking { source: Source::Outcomes, origin, reason };
                    insist(publisher, vec![self.message(route, pack.content_type, pack.payload)], stop.cancelled())
                        .await?;
                }
            }
        }
        Ok(outcomes)
    }

    pub(crate) fn message(&self, route: Route, content_type: String, payload: bytes::Bytes) -> Message {
        Message { route, id: PackId::generate(self.clock.now(), self.clock.random10()), content_type, payload }
    }

    /// One transaction, tried until the store takes it: meanwhile the batch stays unacked, and the full
    /// prefetch keeps the queue from sending more. `None` when the process is stopping.
    ///
    /// When the store refuses a batch it is halved, until the one outcome at fault stands alone
    /// (rule 19); that one is logged and left out.
    async fn settle(&self, outcomes: &[Outcome], stop: &CancellationToken) -> Option<Folded> {
        let mut folded = Folded::default();
        let mut parts: Vec<&[Outcome]> = vec![outcomes];
        let mut backoff = Duration::from_millis(50);
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.settle_once(part).await {
                Ok(more) => merge(&mut folded, more),
                Err(StoreError::Refused(reason)) if part.len() == 1 => {
                    error!(delivery = %part[0].delivery, attempt = part[0].attempt, reason, "the store refuses this outcome; it is dropped");
                    metrics::counter!("whimbrel_outcomes_refused_total").increment(1);
                }
                Err(StoreError::Refused(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(error @ (StoreError::Away(_) | StoreError::Sealed { .. })) => {
                    warn!(%error, outcomes = part.len(), "the store is away; the batch is tried again");
                    parts.push(part);
                    tokio::select! {
                        () = stop.cancelled() => return None,
                        () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(BACKOFF_MAX),
                    }
                }
            }
        }
        Some(folded)
    }

    async fn settle_once(&self, outcomes: &[Outcome]) -> Result<Folded, StoreError> {
        let contracts = self.contracts.current();
        let rules = Rules { contracts: &contracts, sweep_grace: self.sweep_grace, now: self.clock.now() };
        let last: Mutex<Folded> = Mutex::default();
        let decide = |facts: &whimbrel_core::port::Facts| {
            let folded = fold(facts, outcomes, rules, &|| self.clock.fraction());
            let decision = folded.decision.clone();
            *last.lock().expect("no one panics while holding it") = folded;
            decision
        };
        let begun = tokio::time::Instant::now();
        let settled = self.store.settle(outcomes, &decide).await;
        metrics::histogram!("whimbrel_store_commit_seconds", "call" => "settle").record(begun.elapsed().as_secs_f64());
        settled?;
        Ok(last.into_inner().expect("no one panics while holding it"))
    }

    /// After the commit: retries, notices, and word of deliveries that were given up. A blocked broker gets nothing:
    /// the sweep brings the deliveries back (rule 16).
    async fn publish(
        &self,
        publisher: &dyn Publisher,
        outcomes: &[Outcome],
        folded: &Folded,
        stop: &CancellationToken,
    ) -> Result<(), QueueError> {
        if folded.publish.is_empty() && folded.exhausted.is_empty() && folded.decision.suspended.is_empty() {
            return Ok(());
        }
        if *publisher.blocked().borrow() {
            warn!(deliveries = folded.publish.len(), "the broker is blocked; these deliveries are left to the sweep");
            return Ok(());
        }
        let ids = folded.publish.iter().map(|planned| planned.delivery).chain(folded.exhausted.iter().copied());
        let Some(found) = self.carried(ids.collect(), stop).await else { return Err(QueueError::Closed) };
        let (given_up, found): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|what| folded.exhausted.contains(&what.delivery.id));
        let mut messages = job_messages(&*self.clock, &self.tiers, ready(&folded.publish, found, outcomes));
        messages.extend(folded.decision.suspended.iter().map(|suspended| self.changed(suspended)));
        messages.extend(given_up.iter().filter_map(|what| self.exhausted(what)));
        insist(publisher, messages, stop.cancelled()).await
    }

    /// The deliveries with what their jobs carry; `None` when the process is stopping.
    async fn carried(&self, ids: Vec<DeliveryId>, stop: &CancellationToken) -> Option<Vec<ToPublish>> {
        if ids.is_empty() {
            return Some(Vec::new());
        }
        loop {
            match self.store.to_publish(&ids).await {
                Ok(found) => return Some(found),
                Err(error) => warn!(%error, "bodies of retries cannot be read; tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(BACKOFF_MAX) => {}
            }
        }
    }

    /// At once, so that senders forget their copies; the world hears of it by an announcement.
    fn changed(&self, suspended: &Suspended) -> Message {
        info!(endpoint = %suspended.endpoint, reason = suspended.reason.as_str(), "endpoint suspended");
        metrics::counter!("whimbrel_endpoints_suspended_total", "reason" => suspended.reason.as_str()).increment(1);
        self.notice("endpoint.changed", suspended.endpoint, suspended.reason.as_str())
    }

    /// A notice about an endpoint.
    pub(crate) fn notice(&self, kind: &'static str, endpoint: EndpointId, reason: &str) -> Message {
        let notice = v1::Notice {
            kind: kind.into(),
            endpoint_id: id_bytes(endpoint.uuid()),
            reason: reason.into(),
            ..v1::Notice::default()
        };
        let payload = prost::Message::encode_to_vec(&notice).into();
        self.message(Route::Notices(notice.kind), PROTOBUF.into(), payload)
    }
}

/// The planned ones among what was found, each as planned, and after which attempt.
fn ready(planned: &[Planned], found: Vec<ToPublish>, outcomes: &[Outcome]) -> Vec<Ready> {
    let attempts = span::last_attempts(outcomes);
    let plans: HashMap<_, _> = planned.iter().map(|planned| (planned.delivery, *planned)).collect();
    let ready = found.into_iter().filter_map(|what| {
        let plan = plans.get(&what.delivery.id)?;
        let after = attempts.get(&what.delivery.id).map(|trace| (*trace).clone());
        Some(Ready { what, lane: Lane::Slow, at: plan.at, jitter: plan.jitter, after })
    });
    ready.collect()
}

fn merge(into: &mut Folded, more: Folded) {
    into.decision.deliveries.extend(more.decision.deliveries);
    into.decision.health.extend(more.decision.health);
    into.decision.suspended.extend(more.decision.suspended);
    into.publish.extend(more.publish);
    into.exhausted.extend(more.exhausted);
    into.duplicates += more.duplicates;
    into.unknown += more.unknown;
}

fn count(outcomes: &[Outcome], folded: &Folded) {
    let (mut succeeded, mut failed) = (0, 0);
    for outcome in outcomes {
        match &outcome.fate {
            Fate::Attempted(attempted) if attempted.is_success() => succeeded += 1,
            Fate::Attempted(_) => failed += 1,
            _ => {}
        }
    }
    metrics::counter!("whimbrel_attempts_total", "result" => "success").increment(succeeded);
    metrics::counter!("whimbrel_attempts_total", "result" => "failure").increment(failed);
    metrics::counter!("whimbrel_duplicate_posts_total").increment(u64::from(folded.duplicates));
    metrics::counter!("whimbrel_outcomes_unknown_total").increment(u64::from(folded.unknown));
    let mut ended: BTreeMap<&str, u64> = BTreeMap::new();
    for state in folded.decision.deliveries.iter().map(|change| &change.delivery.state).filter(|state| state.is_final())
    {
        *ended.entry(state.as_str()).or_default() += 1;
    }
    for (state, count) in ended {
        metrics::counter!("whimbrel_deliveries_total", "state" => state).increment(count);
    }
    debug!(
        outcomes = outcomes.len(),
        retries = folded.publish.len(),
        duplicates = folded.duplicates,
        "outcomes settled"
    );
}
