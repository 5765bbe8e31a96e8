//! A batch of events, and where each of them goes.

use whimbrel_core::event::Event;
use whimbrel_core::port::{Clock, Fanout, Received};
use whimbrel_core::problem::Rejection;
use whimbrel_core::{TenantId, Timestamp};
use whimbrel_telemetry::Span;

use crate::directory::Tenants;
use crate::fanout::fanout;
use crate::read::Incoming;
use crate::span;

/// Deliveries written in one transaction, unless a single event has more (rule 21).
const DELIVERIES_MAX: usize = 4096;

/// A batch between its receipt and its ack.
pub(crate) struct Batch {
    pub(crate) received: Vec<Received>,
    pub(crate) incoming: Vec<Result<Incoming, Rejection>>,
    pub(crate) begun: Timestamp,
}

impl Batch {
    /// Whose events these are.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let mut ids: Vec<TenantId> = self.incoming.iter().flatten().map(|incoming| incoming.tenant.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// All are the API's, which has checked them and claimed their keys.
    pub(crate) fn is_checked(&self) -> bool {
        self.incoming.iter().flatten().all(|incoming| incoming.id.is_some())
    }
}

/// A batch, sorted by where it goes.
#[derive(Default)]
pub(crate) struct Sorted {
    /// What goes to the store.
    pub(crate) fanouts: Vec<Fanout>,
    /// The place of each in the batch.
    pub(crate) places: Vec<usize>,
    /// The span of each.
    pub(crate) spans: Vec<Option<Span>>,
    /// What goes to parking.
    pub(crate) rejected: Rejected,
}

/// By place in the batch.
pub(crate) type Rejected = Vec<(usize, Rejection)>;

impl Sorted {
    /// An event of Whimbrel's own that nobody asked for goes nowhere.
    pub(crate) fn new(
        batch: &Batch,
        candidates: Vec<Result<Event, Rejection>>,
        tenants: &Tenants,
        sweep_at: Timestamp,
        clock: &dyn Clock,
    ) -> Self {
        let mut sorted = Self::default();
        sorted.fanouts.reserve(candidates.len());
        for (place, candidate) in candidates.into_iter().enumerate() {
            match candidate {
                Ok(mut event) => {
                    let span = span::begin(&batch.incoming[place], &mut event, clock);
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
        sorted
    }
}

/// Parts of a batch with at most [`DELIVERIES_MAX`] deliveries each, or a single event.
pub(crate) fn chunks(fanouts: &[Fanout]) -> Vec<&[Fanout]> {
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
