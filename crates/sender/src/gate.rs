//! The gate of each endpoint: how many POSTs it may have under way, how many it takes a second, whether it asked for a
//! pause, and whether it hangs (rule 17).
//!
//! All of it is per process: with several senders an endpoint has as many times the places and the rate, and each
//! sender learns of a throttling receiver by itself.

mod breaker;
mod pause;
mod places;
mod rate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep_until};
use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::EndpointOptions;

use breaker::{Admission, Breaker};
use pause::Pause;
use places::Places;
use rate::Bucket;

/// A job that has not started after this is handed on, so that its pack can be acked (rule 15).
pub(crate) const START_WITHIN: Duration = Duration::from_secs(2);
/// Endpoints without traffic are forgotten when there are more than this.
const ENDPOINTS_MAX: usize = 20_000;

/// What an endpoint's owner wants of its gate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// POSTs under way at most.
    in_flight_max: Option<u32>,
    /// POSTs a second at most.
    rate: Option<u32>,
}

impl Limits {
    pub(crate) fn of(options: &EndpointOptions) -> Self {
        Self { in_flight_max: options.in_flight_max, rate: options.rate_limit }
    }
}

/// Every endpoint's gate.
pub(crate) struct Gates {
    in_flight_max: usize,
    known: Mutex<Known>,
}

struct Known {
    gates: HashMap<EndpointId, Arc<Gate>>,
    /// At how many of them those without traffic are looked for.
    tidy_at: usize,
}

impl Gates {
    /// `in_flight_max`: the places of an endpoint that does not want fewer.
    pub(crate) fn new(in_flight_max: usize) -> Self {
        Self { in_flight_max, known: Mutex::new(Known { gates: HashMap::new(), tidy_at: ENDPOINTS_MAX }) }
    }

    /// The endpoint's gate, as wide as the newest version of its options wants it.
    pub(crate) fn of(&self, endpoint: EndpointId, version: i64, limits: Limits) -> Arc<Gate> {
        let gate = self.known.lock().unwrap_or_else(PoisonError::into_inner).gate(endpoint);
        let own = limits.in_flight_max.map_or(usize::MAX, |own| usize::try_from(own).unwrap_or(usize::MAX));
        gate.set(version, own.min(self.in_flight_max).max(1), limits.rate);
        gate
    }
}

impl Known {
    fn gate(&mut self, endpoint: EndpointId) -> Arc<Gate> {
        if self.gates.len() >= self.tidy_at {
            let now = Instant::now();
            self.gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.holds_back(now));
            self.tidy_at = ENDPOINTS_MAX.max(self.gates.len() * 2);
        }
        self.gates.entry(endpoint).or_default().clone()
    }
}

/// One endpoint's gate.
#[derive(Default)]
pub(crate) struct Gate {
    places: Places,
    state: Mutex<State>,
    /// Tells those who wait that the gate has closed.
    closing: Notify,
}

#[derive(Default)]
struct State {
    /// Of the endpoint; `None` before the first.
    version: Option<i64>,
    rate: Option<u32>,
    bucket: Bucket,
    pause: Pause,
    breaker: Breaker,
}

/// Why a job may not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The endpoint has no place, or no token, within [`START_WITHIN`].
    Busy,
    /// The receiver throttles, or hangs: the gate opens after this.
    Closed(Duration),
}

impl Gate {
    /// A job with an older copy of the endpoint does not turn its options back.
    fn set(&self, version: i64, places: usize, rate: Option<u32>) {
        let mut state = self.state();
        if state.version.is_none_or(|known| known < version) {
            state.version = Some(version);
            state.rate = rate;
            self.places.resize(places);
        }
    }

    /// A place, and a token where the endpoint has a rate, now or within [`START_WITHIN`].
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Place, Refused> {
        // Made before the look, so that no closing is missed between the two.
        let closing = self.closing.notified();
        if let Some(wait) = self.closed_for() {
            return Err(Refused::Closed(wait));
        }
        let admission = self.state().breaker.admit(Instant::now());
        if let Admission::Wait(wait) = admission {
            return Err(Refused::Closed(wait));
        }
        let probe = Probe(self, admission == Admission::Probe);
        tokio::select! {
            biased;
            () = closing => Err(Refused::Closed(self.closed_for().unwrap_or_default())),
            entered = self.place_and_token() => {
                let mut place = entered.ok_or(Refused::Busy)?;
                place.probe = probe.taken_over();
                Ok(place)
            }
        }
    }

    /// The place comes first: the tokens are then as many as can be used.
    async fn place_and_token(self: &Arc<Self>) -> Option<Place> {
        let give_up = Instant::now() + START_WITHIN;
        let permit = self.places.acquire(give_up).await?;
        let place = Place { gate: self.clone(), permit: Some(permit), step: self.state().pause.step(), probe: false };
        let start = self.token(give_up)?;
        // Not even for the timer's millisecond when the token is there.
        if start > Instant::now() {
            sleep_until(start).await;
        }
        Some(place)
    }

    /// When the next token is there; `None`, and none taken, when that is after `give_up`.
    fn token(&self, give_up: Instant) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.state();
        match state.rate {
            Some(rate) => state.bucket.take(rate, now, give_up),
            None => Some(now),
        }
    }

    /// How long the receiver is still to be left alone; `None` when the gate is open.
    pub(crate) fn closed_for(&self) -> Option<Duration> {
        let (state, now) = (self.state(), Instant::now());
        state.pause.remaining(now).max(state.breaker.remaining(now))
    }

    /// Whether forgetting it would let more through.
    fn holds_back(&self, now: Instant) -> bool {
        let state = self.state();
        state.pause.remaining(now).is_some() || state.breaker.remaining(now).is_some() || state.bucket.is_used(now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's leave to be the one probe, as long as it waits for its place.
struct Probe<'a>(&'a Arc<Gate>, bool);

impl Probe<'_> {
    /// The place has it now.
    fn taken_over(mut self) -> bool {
        std::mem::replace(&mut self.1, false)
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.state().breaker.probe_ended();
        }
    }
}

/// A place at the endpoint; given back on drop.
pub(crate) struct Place {
    gate: Arc<Gate>,
    /// `Some` until the drop.
    permit: Option<OwnedSemaphorePermit>,
    /// Of the pause, when the place was taken.
    step: u64,
    /// Whether this is the one that tells if a hanging endpoint answers again.
    probe: bool,
}

impl Place {
    /// The answer asked for fewer requests: the gate closes, at least for `retry_after`.
    pub(crate) fn throttled(&self, retry_after: Option<Duration>) {
        let mut state = self.gate.state();
        state.breaker.answered();
        state.pause.throttled(self.step, retry_after.unwrap_or_default(), Instant::now());
        drop(state);
        self.gate.closing.notify_waiters();
    }

    /// The answer was no throttle: the gate opens, save for what a `Retry-After` asked.
    pub(crate) fn answered(&self) {
        let mut state = self.gate.state();
        state.breaker.answered();
        state.pause.answered();
    }

    /// It failed without an answer, but quickly: nothing that holds up others.
    pub(crate) fn failed(&self) {
        self.gate.state().breaker.answered();
    }

    /// No answer within the deadline: after a few in a row the gate closes, but for probes.
    pub(crate) fn hung(&self) {
        let hangs = self.gate.state().breaker.hung(self.probe, Instant::now());
        if hangs {
            self.gate.closing.notify_waiters();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.probe {
            self.gate.state().breaker.probe_ended();
        }
        if let Some(permit) = self.permit.take() {
            self.gate.places.give_back(permit);
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
