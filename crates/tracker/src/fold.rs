//! A batch of outcomes and the locked facts → what to write and what to publish. Pure.
//!
//! Outcomes are taken one by one in commit order, so the result is the same however they are batched
//! (rules 13 and 20).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::{Delivery, DeliveryState, FailReason};
use whimbrel_core::endpoint::{EndpointStatus, Health, SuspendReason};
use whimbrel_core::judge::{Judged, Publish, Seen, judge};
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{Decision, DeliveryChange, EndpointFacts, Facts, Suspended};
use whimbrel_core::{DeliveryId, EndpointId, Timestamp};

/// A job to publish after the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// The delivery, with the attempt to make.
    pub delivery: DeliveryId,
    /// Not before this; `None` is now.
    pub at: Option<Timestamp>,
    /// How much of the delay is jitter.
    pub jitter: Duration,
}

/// What a batch comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Folded {
    /// For the store.
    pub decision: Decision,
    /// For the queue.
    pub publish: Vec<Planned>,
    /// Deliveries that have used up their attempts, for those who want to hear of it.
    pub exhausted: Vec<DeliveryId>,
    /// POSTs whose attempt another POST had taken (rule 2).
    pub duplicates: u32,
    /// Outcomes of deliveries that the store does not know (rule 28).
    pub unknown: u32,
}

/// What a batch is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What the receivers' contracts say.
    pub contracts: &'a ContractSet,
    /// How long after a job is due the sweep looks for it.
    pub sweep_grace: Duration,
    /// The time of the verdicts.
    pub now: Timestamp,
}

/// Judges every outcome in order; `jitter` draws a number in `0.0..1.0`.
pub fn fold(facts: &Facts, outcomes: &[Outcome], rules: Rules<'_>, jitter: &dyn Fn() -> f64) -> Folded {
    let mut fold =
        Fold { facts, rules, changes: BTreeMap::new(), endpoints: HashMap::new(), folded: Folded::default() };
    for (outcome, seen) in outcomes.iter().zip(&facts.seen) {
        fold.take(outcome, *seen, jitter());
    }
    fold.finish()
}

struct Fold<'a> {
    facts: &'a Facts,
    rules: Rules<'a>,
    changes: BTreeMap<DeliveryId, DeliveryChange>,
    endpoints: HashMap<EndpointId, Pulse>,
    folded: Folded,
}

/// An endpoint as the batch leaves it so far.
#[derive(Clone, Copy)]
struct Pulse {
    status: EndpointStatus,
    health: Health,
    suspended: Option<Suspended>,
}

impl Pulse {
    fn of(facts: &EndpointFacts) -> Self {
        Self { status: facts.status, health: facts.health, suspended: None }
    }

    fn suspend(&mut self, endpoint: EndpointId, reason: SuspendReason, since: Timestamp) {
        if self.status.is_active() {
            self.status = EndpointStatus::Suspended { reason, since };
            self.suspended = Some(Suspended { endpoint, reason, since });
        }
    }
}

impl Fold<'_> {
    fn take(&mut self, outcome: &Outcome, seen: Seen, jitter: f64) {
        let Some(stored) = self.facts.deliveries.get(&outcome.delivery) else {
            self.folded.unknown += 1;
            return;
        };
        let current = self.changes.get(&outcome.delivery).map_or(*stored, |change| change.delivery);
        if seen == Seen::OtherExecution {
            self.folded.duplicates += 1;
        }
        let Some(contract) = self.rules.contracts.get(&outcome.contract) else {
            // The sender had the contract and this process has not: without its rules nothing can be
            // decided, and the sweep brings the delivery back (rule 26).
            self.folded.unknown += 1;
            return;
        };
        let pulse = self
            .facts
            .endpoints
            .get(&outcome.endpoint)
            .map(|facts| *self.endpoints.entry(outcome.endpoint).or_insert_with(|| Pulse::of(facts)));
        let judged = self
            .facts
            .endpoints
            .get(&outcome.endpoint)
            .zip(pulse)
            .map(|(facts, pulse)| Judged { status: pulse.status, retry_delays: facts.retry_delays.as_deref() });
        let verdict = judge(&current, outcome, seen, contract, judged, self.rules.now, jitter);
        self.note_exhausted(outcome, &current, &verdict.delivery);
        self.record(outcome, seen, &current, verdict.delivery, verdict.publish);
        if let Some(pulse) = pulse {
            let pulse = self.feel(pulse, outcome, seen, verdict.gone);
            self.endpoints.insert(outcome.endpoint, pulse);
        }
    }

    /// Said after the commit, so a crash between the two brings the last outcome again: then it is said again, under
    /// the same event id.
    fn note_exhausted(&mut self, outcome: &Outcome, before: &Delivery, after: &Delivery) {
        let exhausted = matches!(after.state, DeliveryState::Failed { reason: FailReason::Exhausted, .. });
        let last = (outcome.round, outcome.attempt) == (after.round, after.attempt);
        if exhausted && (last || after != before) && !self.folded.exhausted.contains(&after.id) {
            self.folded.exhausted.push(after.id);
        }
    }

    fn record(&mut self, outcome: &Outcome, seen: Seen, before: &Delivery, after: Delivery, publish: Publish) {
        let planned = match publish {
            Publish::Nothing => None,
            Publish::Again => Some(Planned { delivery: after.id, at: None, jitter: Duration::ZERO }),
            Publish::Retry { at, jitter } => Some(Planned { delivery: after.id, at: Some(at), jitter }),
        };
        if let Some(planned) = planned {
            self.folded.publish.retain(|earlier| earlier.delivery != after.id);
            self.folded.publish.push(planned);
        } else if after != *before {
            self.folded.publish.retain(|planned| planned.delivery != after.id);
        }
        let row = outcome.attempt_row().filter(|_| seen == Seen::New);
        if row.is_none() && after == *before {
            return;
        }
        let change = self.changes.entry(after.id).or_insert(DeliveryChange {
            delivery: after,
            attempts_added: 0,
            last: None,
            sweep_at: None,
        });
        change.delivery = after;
        change.sweep_at = sweep_at(&after, self.rules);
        if let Some(row) = row {
            change.attempts_added += 1;
            change.last = Some((row.status_code, row.error));
        }
    }

    /// Health counts only attempts that are really new, and none begun before the endpoint was
    /// activated (rules 9 and 20).
    fn feel(&self, mut pulse: Pulse, outcome: &Outcome, seen: Seen, gone: bool) -> Pulse {
        let Fate::Attempted(attempted) = &outcome.fate else { return pulse };
        let activated = self.facts.endpoints.get(&outcome.endpoint).and_then(|facts| facts.activated_at);
        let success = attempted.is_success();
        if (seen != Seen::New && !success) || activated.is_some_and(|at| attempted.started_at < at) {
            return pulse;
        }
        pulse.health = pulse.health.after(success, attempted.started_at);
        let rule = self.rules.contracts.get(&outcome.contract).map(|contract| contract.suspension());
        let reason = if gone {
            Some(SuspendReason::Gone)
        } else {
            rule.and_then(|rule| pulse.health.suspension(rule, self.rules.now))
        };
        if let (Some(reason), false) = (reason, success) {
            pulse.suspend(outcome.endpoint, reason, self.rules.now);
        }
        pulse
    }

    fn finish(mut self) -> Folded {
        self.folded.decision.deliveries = self.changes.into_values().collect();
        let mut endpoints: Vec<_> = self.endpoints.into_iter().collect();
        endpoints.sort_unstable_by_key(|(id, _)| *id);
        for (id, pulse) in endpoints {
            if self.facts.endpoints.get(&id).is_some_and(|facts| facts.health != pulse.health) {
                self.folded.decision.health.push((id, pulse.health));
            }
            self.folded.decision.suspended.extend(pulse.suspended);
        }
        self.folded
    }
}

/// When the sweep should look at a delivery: some time after its job should have been done.
fn sweep_at(delivery: &Delivery, rules: Rules<'_>) -> Option<Timestamp> {
    match delivery.state {
        DeliveryState::Pending => Some(rules.now + rules.sweep_grace),
        DeliveryState::Retrying { at } => Some(at + rules.sweep_grace),
        _ => None,
    }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
