//! Places: how many POSTs a lane and an endpoint may have under way (rule 17).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whimbrel_core::EndpointId;

/// A job that has not started after this is handed on, so that its pack can be acked (rule 15).
pub(crate) const START_WITHIN: Duration = Duration::from_secs(2);
/// Endpoints without traffic are forgotten when there are more than this.
const ENDPOINTS_MAX: usize = 20_000;

/// One endpoint's places.
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A place at the endpoint; given back on drop.
pub(crate) struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Gate {
    /// A place, now or within [`START_WITHIN`]; `None` when the endpoint is too busy.
    pub(crate) async fn enter(&self) -> Option<Place> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Some(Place(permit));
        }
        let waiting = Waiting::count(&self.waiting);
        if waiting.before >= self.waiting_max {
            return None;
        }
        let permit = tokio::time::timeout(START_WITHIN, self.places.clone().acquire_owned()).await;
        permit.ok()?.ok().map(Place)
    }
}

/// Counts one waiting job for as long as it lives.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn count(counter: &'a AtomicUsize) -> Self {
        Self { counter, before: counter.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every endpoint's gate.
pub(crate) struct Gates {
    in_flight_max: usize,
    gates: Mutex<HashMap<EndpointId, Arc<Gate>>>,
}

impl Gates {
    pub(crate) fn new(in_flight_max: usize) -> Self {
        Self { in_flight_max, gates: Mutex::default() }
    }

    pub(crate) fn of(&self, endpoint: EndpointId) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= ENDPOINTS_MAX {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let new = || {
            let places = Arc::new(Semaphore::new(self.in_flight_max));
            Arc::new(Gate { places, waiting: AtomicUsize::new(0), waiting_max: self.in_flight_max * 2 })
        };
        gates.entry(endpoint).or_insert_with(new).clone()
    }
}
