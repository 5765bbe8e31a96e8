//! What follows from an outcome: one pure, total function over state × outcome (rule 3).
//! ARCHITECTURE.md prints the table.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use crate::contract::{Contract, Retry};
use crate::delivery::{Delivery, DeliveryState, FailReason, WaitReason};
use crate::endpoint::EndpointStatus;
use crate::outcome::{Attempted, Fate, Outcome, Reply};
use crate::time::Timestamp;

/// How an outcome's attempt stands to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// No such attempt was recorded: it is now.
    New,
    /// This very POST was recorded: the outcome was delivered again.
    SameExecution,
    /// Another POST was recorded under this number: a duplicate chain.
    OtherExecution,
}

/// How each attempt stands to those that were `recorded`, and to those before it; and the keys that another POST had
/// taken. What made no POST (`None`) is new.
pub fn compare<K: Copy + Eq + Hash, E: Copy + Eq, S: BuildHasher>(
    attempts: impl Iterator<Item = Option<(K, E)>>,
    mut recorded: HashMap<K, E, S>,
) -> (Vec<Seen>, Vec<K>) {
    let mut duplicates = Vec::new();
    let seen = attempts.map(|attempt| {
        let Some((key, execution)) = attempt else { return Seen::New };
        match recorded.entry(key) {
            Entry::Vacant(free) => {
                free.insert(execution);
                Seen::New
            }
            Entry::Occupied(taken) if *taken.get() == execution => Seen::SameExecution,
            Entry::Occupied(_) => {
                duplicates.push(key);
                Seen::OtherExecution
            }
        }
    });
    (seen.collect(), duplicates)
}

/// What is to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// Nothing.
    Nothing,
    /// The awaited attempt, not before this time.
    Retry {
        /// When the schedule allows it.
        at: Timestamp,
        /// How much of the delay is jitter.
        jitter: Duration,
    },
    /// The awaited attempt, now: the endpoint takes deliveries after all.
    Again,
}

/// What follows from one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The delivery as it is from now on.
    pub delivery: Delivery,
    /// What to publish after the commit.
    pub publish: Publish,
    /// Whether the endpoint said that it is gone for good.
    pub gone: bool,
}

/// What a verdict asks of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'a> {
    /// Whether it takes deliveries.
    pub status: EndpointStatus,
    /// Its own schedule instead of the contract's.
    pub retry_delays: Option<&'a [Duration]>,
}

/// Judges one outcome.
///
/// `endpoint` is the endpoint in the same transaction, `None` when it was deleted; `jitter` lies in `0.0..1.0` and is
/// drawn by the caller.
pub fn judge(
    delivery: &Delivery,
    outcome: &Outcome,
    seen: Seen,
    contract: &Contract,
    endpoint: Option<Judged<'_>>,
    now: Timestamp,
    jitter: f64,
) -> Verdict {
    let unchanged = Verdict { delivery: *delivery, publish: Publish::Nothing, gone: false };
    match &outcome.fate {
        _ if outcome.round != delivery.round => unchanged,
        Fate::Attempted(attempted) if attempted.is_success() => succeed(unchanged, now),
        _ if delivery.state.is_final() => unchanged,
        Fate::Attempted(attempted) => match seen {
            Seen::New if outcome.attempt == delivery.attempt => {
                fail(unchanged, attempted, contract, endpoint, now, jitter)
            }
            Seen::SameExecution => publish_again(unchanged, outcome),
            Seen::New | Seen::OtherExecution => unchanged,
        },
        Fate::NotActive if outcome.attempt == delivery.attempt => {
            not_active(unchanged, endpoint.map(|endpoint| endpoint.status))
        }
        Fate::Deferred if outcome.attempt == delivery.attempt && has_job(delivery) => {
            set(unchanged, DeliveryState::Waiting(WaitReason::Deferred))
        }
        Fate::NotActive | Fate::Deferred => unchanged,
    }
}

fn set(verdict: Verdict, state: DeliveryState) -> Verdict {
    Verdict { delivery: Delivery { state, ..verdict.delivery }, ..verdict }
}

fn has_job(delivery: &Delivery) -> bool {
    matches!(delivery.state, DeliveryState::Pending | DeliveryState::Retrying { .. })
}

/// Success is absorbing, whatever else was thought of the delivery in this round; only the owner's
/// deletion of the endpoint stays.
fn succeed(verdict: Verdict, now: Timestamp) -> Verdict {
    match verdict.delivery.state {
        DeliveryState::Succeeded { .. } | DeliveryState::Cancelled => verdict,
        _ => set(verdict, DeliveryState::Succeeded { at: now }),
    }
}

fn fail(
    verdict: Verdict,
    attempted: &Attempted,
    contract: &Contract,
    endpoint: Option<Judged<'_>>,
    now: Timestamp,
    jitter: f64,
) -> Verdict {
    let failed = |reason| set(verdict, DeliveryState::Failed { reason, at: now });
    let Some(endpoint) = endpoint else { return set(verdict, DeliveryState::Cancelled) };
    if attempted.status_code().is_some_and(|status| contract.suspension().gone_statuses.contains(&status)) {
        return Verdict { gone: true, ..failed(FailReason::Gone) };
    }
    if matches!(&attempted.reply, Reply::Error { kind, .. } if kind.is_refusal()) {
        return failed(FailReason::Refused);
    }
    let own = endpoint.retry_delays.map(|delays| contract.retry().with_delays(delays));
    let retry = own.as_ref().unwrap_or(contract.retry());
    match delay(retry, verdict.delivery.position(verdict.delivery.attempt), attempted, jitter) {
        None => failed(FailReason::Exhausted),
        Some((delay, jitter)) => {
            let at = now + delay;
            let attempt = verdict.delivery.attempt + 1;
            let delivery = Delivery { state: DeliveryState::Retrying { at }, attempt, ..verdict.delivery };
            Verdict { delivery, publish: Publish::Retry { at, jitter }, ..verdict }
        }
    }
}

/// The delay before the next attempt and how much of it is jitter; `None` after the last. A receiver's `Retry-After`
/// lengthens the delay up to the contract's cap, and never shortens it (rule 23).
fn delay(retry: &Retry, position: u32, attempted: &Attempted, jitter: f64) -> Option<(Duration, Duration)> {
    let scheduled = retry.after(position, jitter)?;
    let asked = match &attempted.reply {
        Reply::Response { retry_after: Some(asked), .. } => retry.retry_after_max().map(|max| max.min(*asked)),
        _ => None,
    };
    match asked {
        Some(asked) if asked > scheduled => Some((asked, Duration::ZERO)),
        _ => Some((scheduled, scheduled.saturating_sub(retry.after(position, 0.0)?))),
    }
}

/// The tracker died between its commit and its publish, or between its publish and its ack: it cannot
/// tell, so it publishes again if the delivery still waits for this attempt's retry (rule 2).
fn publish_again(verdict: Verdict, outcome: &Outcome) -> Verdict {
    match verdict.delivery.state {
        DeliveryState::Retrying { at } if verdict.delivery.attempt == outcome.attempt + 1 => {
            Verdict { publish: Publish::Retry { at, jitter: Duration::ZERO }, ..verdict }
        }
        _ => verdict,
    }
}

/// Judged against the endpoint's row, which may have changed since the sender looked (rule 7).
fn not_active(verdict: Verdict, endpoint: Option<EndpointStatus>) -> Verdict {
    match (endpoint, verdict.delivery.state) {
        (None, _) => set(verdict, DeliveryState::Cancelled),
        (Some(EndpointStatus::Active), DeliveryState::Pending | DeliveryState::Retrying { .. }) => {
            Verdict { publish: Publish::Again, ..set(verdict, DeliveryState::Pending) }
        }
        (
            Some(EndpointStatus::Suspended { .. } | EndpointStatus::Disabled),
            DeliveryState::Pending | DeliveryState::Retrying { .. },
        ) => set(verdict, DeliveryState::Held),
        _ => verdict,
    }
}
