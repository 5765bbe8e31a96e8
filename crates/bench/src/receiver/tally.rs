//! What has come, how often, when, and whether it was signed as it should be.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use data_encoding::BASE64;
use ring::hmac;
use serde::Serialize;

use super::request::Request;

/// How an endpoint answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// 200 at once.
    Answer,
    /// 200 after a while.
    After(Duration),
    /// Not at all.
    Never,
    /// 500 at once.
    Fail,
    /// 410 at once, which suspends it.
    Gone,
}

/// One endpoint as the receiver knows it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// How it answers.
    pub behaviour: Behaviour,
    /// What its requests are signed with: the decoded secret.
    pub key: hmac::Key,
}

/// Which endpoints get an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Targets {
    /// All of them.
    #[default]
    All,
    /// For each event the one that gets it.
    One(Vec<usize>),
}

/// What is going to come.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By number.
    pub endpoints: Vec<Endpoint>,
    /// How many events.
    pub events: usize,
    /// Who gets which.
    pub targets: Targets,
    /// Events whose arrival makes the run complete; the others are only counted. `None` stands for all.
    pub awaited: Option<Vec<bool>>,
}

impl Plan {
    fn receivers_of_each(&self) -> usize {
        match self.targets {
            Targets::All => self.endpoints.len(),
            Targets::One(_) => 1,
        }
    }

    fn is_awaited(&self, event: usize) -> bool {
        self.awaited.as_ref().is_none_or(|awaited| awaited.get(event).copied().unwrap_or(false))
    }
}

/// What was wrong, in requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Expected and not received.
    pub missing: u64,
    /// Received once more than expected.
    pub repeated: u64,
    /// Whose signature does not fit.
    pub unsigned: u64,
    /// Of no expected event, or at the wrong endpoint, or under another id than the event's others.
    pub strange: u64,
}

impl Faults {
    /// Whether there was none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            missing: self.missing + other.missing,
            repeated: self.repeated + other.repeated,
            unsigned: self.unsigned + other.unsigned,
            strange: self.strange + other.strange,
        }
    }
}

/// The running count.
#[derive(Debug)]
pub struct Tally {
    plan: Plan,
    each: usize,
    /// By event and receiver.
    counts: Vec<u8>,
    first_us: Vec<u64>,
    /// By event: a hash of its id.
    ids: Vec<u64>,
    awaited: usize,
    came: usize,
    distinct: usize,
    requests: u64,
    faults: Faults,
}

/// What came of a [`Plan`].
#[derive(Debug, Clone)]
pub struct Receipts {
    /// Receivers of each event.
    pub each: usize,
    /// How often, by event and receiver.
    pub counts: Vec<u8>,
    /// When first, by event and receiver; 0 for what has not come.
    pub first_us: Vec<u64>,
    /// Requests, repeated ones included.
    pub requests: u64,
    /// What was wrong with those that came; missing and repeated ones are in `counts`.
    pub faults: Faults,
}

impl Tally {
    pub(super) fn new(plan: Plan) -> Self {
        let each = plan.receivers_of_each();
        let slots = plan.events * each;
        let awaited = (0..plan.events).filter(|event| plan.is_awaited(*event)).count() * each;
        Self {
            each,
            counts: vec![0; slots],
            first_us: vec![0; slots],
            ids: vec![0; plan.events],
            awaited,
            came: 0,
            distinct: 0,
            requests: 0,
            faults: Faults::default(),
            plan,
        }
    }

    /// Different deliveries received.
    pub fn distinct(&self) -> usize {
        self.distinct
    }

    /// Requests received, repeated ones included.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many of the events from `first` to before `end` have come to all their receivers.
    pub fn arrived(&self, first: usize, end: usize) -> usize {
        let counts = &self.counts[first * self.each..end * self.each];
        counts.chunks_exact(self.each).filter(|counts| counts.iter().all(|count| *count > 0)).count()
    }

    /// Whether all that is awaited has come.
    pub fn is_complete(&self) -> bool {
        self.came >= self.awaited
    }

    /// Counts a request; `None` for one to an endpoint that is not.
    pub(super) fn receive(&mut self, request: &Request<'_>, now_us: u64) -> Option<Behaviour> {
        let endpoint = self.plan.endpoints.get(request.endpoint)?;
        let behaviour = endpoint.behaviour;
        self.requests += 1;
        self.faults.unsigned += u64::from(!is_signed(request, &endpoint.key));
        match self.slot(request) {
            Some((event, slot)) => self.count(event, slot, request, now_us),
            None => self.faults.strange += 1,
        }
        Some(behaviour)
    }

    fn count(&mut self, event: usize, slot: usize, request: &Request<'_>, now_us: u64) {
        let id = hash(request.id);
        match self.ids[event] {
            0 => self.ids[event] = id,
            known => self.faults.strange += u64::from(known != id),
        }
        self.counts[slot] = self.counts[slot].saturating_add(1);
        if self.counts[slot] == 1 {
            self.first_us[slot] = now_us;
            self.distinct += 1;
            self.came += usize::from(self.plan.is_awaited(event));
        }
    }

    /// Event and place of a request; `None` when it was not expected there.
    fn slot(&self, request: &Request<'_>) -> Option<(usize, usize)> {
        let event = number(request.body)?;
        let place = match &self.plan.targets {
            Targets::All => Some(request.endpoint),
            Targets::One(targets) => (*targets.get(event)? == request.endpoint).then_some(0),
        };
        (event < self.plan.events).then_some((event, event * self.each + place?))
    }

    pub(super) fn into_receipts(mut self) -> Receipts {
        let mut ids: Vec<u64> = self.ids.into_iter().filter(|id| *id != 0).collect();
        let known = ids.len();
        ids.sort_unstable();
        ids.dedup();
        // Two events under one id.
        self.faults.strange += (known - ids.len()) as u64;
        let (counts, first_us) = (self.counts, self.first_us);
        Receipts { each: self.each, counts, first_us, requests: self.requests, faults: self.faults }
    }
}

/// Whether one of the signatures in the header is this key's over id, timestamp and body.
fn is_signed(request: &Request<'_>, key: &hmac::Key) -> bool {
    let mut context = hmac::Context::with_key(key);
    for part in [request.id, b".", request.timestamp, b".", request.body] {
        context.update(part);
    }
    let tag = context.sign();
    let mut text = [0; 44];
    BASE64.encode_mut(tag.as_ref(), &mut text);
    request.signature.split(|byte| *byte == b' ').any(|item| item.strip_prefix(b"v1,") == Some(&text[..]))
}

/// The event's number: what stands after the first `"n":`.
fn number(body: &[u8]) -> Option<usize> {
    let marker = br#""n":"#;
    let start = body.windows(marker.len()).position(|window| window == marker)? + marker.len();
    let digits = body[start..].iter().take_while(|byte| byte.is_ascii_digit());
    digits
        .map(|digit| usize::from(digit - b'0'))
        .try_fold(0_usize, |number, digit| number.checked_mul(10)?.checked_add(digit))
}

/// Never 0, which stands for nothing seen.
fn hash(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(id);
    hasher.finish().max(1)
}
