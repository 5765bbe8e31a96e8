use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use whimbrel_core::EventId;
use whimbrel_core::delivery::{DeliveryState, FailReason, SWEEP_GRACE};
use whimbrel_core::event::TraceContext;
use whimbrel_core::id::ExecutionId;
use whimbrel_core::outcome::{Attempted, Reply};
use whimbrel_core::tenant::TenantId;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// The store's part, in memory: enough of it to run batch after batch.
struct World {
    contracts: ContractSet,
    deliveries: HashMap<DeliveryId, Delivery>,
    endpoints: HashMap<EndpointId, EndpointFacts>,
    executions: HashMap<(DeliveryId, u32), ExecutionId>,
    published: Vec<Planned>,
}

fn endpoint() -> EndpointId {
    EndpointId::generate(NOW, [1; 10])
}

fn event(number: u8) -> EventId {
    EventId::generate(NOW, [number; 10])
}

impl World {
    fn new(deliveries: u8) -> Self {
        let all = (0..deliveries).map(|number| Delivery::new(event(number), endpoint(), DeliveryState::Pending));
        let facts = EndpointFacts {
            tenant: TenantId::default(),
            status: EndpointStatus::Active,
            health: Health::default(),
            activated_at: None,
            version: 1,
            retry_delays: None,
        };
        Self {
            contracts: ContractSet::built_in(),
            deliveries: all.map(|delivery| (delivery.id, delivery)).collect(),
            endpoints: [(endpoint(), facts)].into(),
            executions: HashMap::new(),
            published: Vec::new(),
        }
    }

    fn delivery(&self, number: u8) -> Delivery {
        self.deliveries[&DeliveryId::of(event(number), endpoint())]
    }

    fn outcome(number: u8, attempt: u32, execution: u8, status: u16) -> Outcome {
        Self::outcome_under("bitbybit", number, attempt, execution, status)
    }

    fn outcome_under(contract: &str, number: u8, attempt: u32, execution: u8, status: u16) -> Outcome {
        let reply = Reply::Response { status, body: bytes::Bytes::new(), retry_after: None };
        Outcome {
            delivery: DeliveryId::of(event(number), endpoint()),
            event: event(number),
            endpoint: endpoint(),
            round: 1,
            attempt,
            contract: contract.parse().expect("a name"),
            trace: TraceContext::default(),
            fate: Fate::Attempted(Attempted {
                execution: ExecutionId::generate(NOW, [execution; 10]),
                started_at: NOW,
                duration: Duration::from_millis(1),
                reply,
            }),
        }
    }

    fn settle(&mut self, batch: &[Outcome]) -> Folded {
        let mut seen = Vec::new();
        for outcome in batch {
            let Some(row) = outcome.attempt_row() else {
                seen.push(Seen::New);
                continue;
            };
            let stored = *self.executions.entry((row.delivery, row.number)).or_insert(row.execution);
            seen.push(if stored == row.execution { Seen::New } else { Seen::OtherExecution });
        }
        self.settle_seen(batch, seen)
    }

    fn settle_seen(&mut self, batch: &[Outcome], seen: Vec<Seen>) -> Folded {
        let facts = Facts { deliveries: self.deliveries.clone(), endpoints: self.endpoints.clone(), seen };
        let rules = Rules { contracts: &self.contracts, sweep_grace: SWEEP_GRACE, now: NOW };
        let folded = fold(&facts, batch, rules, &|| 0.0);
        for change in &folded.decision.deliveries {
            self.deliveries.insert(change.delivery.id, change.delivery);
        }
        for (id, health) in &folded.decision.health {
            self.endpoints.get_mut(id).expect("known").health = *health;
        }
        for suspended in &folded.decision.suspended {
            let status = EndpointStatus::Suspended { reason: suspended.reason, since: suspended.since };
            self.endpoints.get_mut(&suspended.endpoint).expect("known").status = status;
        }
        self.published.extend(folded.publish.iter().copied());
        folded
    }

    fn suspended(&self) -> bool {
        !self.endpoints[&endpoint()].status.is_active()
    }
}

#[test]
fn each_contracts_table_is_followed_exactly() {
    for contract in ["bitbybit", "eightbit", "generic", "standard"] {
        let mut world = World::new(1);
        let table =
            world.contracts.get(&contract.parse().expect("a name")).expect("built in").retry().delays().to_vec();
        for (number, delay) in (1..).zip(&table) {
            let folded =
                world.settle(&[World::outcome_under(contract, 0, number, u8::try_from(number).expect("few"), 500)]);
            let at = NOW + *delay;
            assert_eq!(
                folded.publish,
                [Planned { delivery: world.delivery(0).id, at: Some(at), jitter: Duration::ZERO }],
                "{contract} {number}"
            );
            assert_eq!(world.delivery(0).state, DeliveryState::Retrying { at });
        }
        let last = u32::try_from(table.len()).expect("few") + 1;
        let folded = world.settle(&[World::outcome_under(contract, 0, last, 200, 500)]);
        assert_eq!(folded.publish, []);
        assert_eq!(world.delivery(0).state, DeliveryState::Failed { reason: FailReason::Exhausted, at: NOW });
    }
}

#[test]
fn rule_02_the_same_execution_publishes_again_only_while_its_retry_is_awaited() {
    let mut world = World::new(1);
    let first = World::outcome(0, 1, 1, 500);
    world.settle(std::slice::from_ref(&first));
    let again = world.settle_seen(std::slice::from_ref(&first), vec![Seen::SameExecution]);
    assert_eq!(again.publish.len(), 1);
    assert!(again.decision.deliveries.is_empty() && again.decision.health.is_empty(), "nothing changes twice");
    world.settle(&[World::outcome(0, 2, 2, 500)]);
    let late = world.settle_seen(&[first], vec![Seen::SameExecution]);
    assert_eq!(late, Folded::default());
}

#[test]
fn rule_02_other_execution_publishes_nothing() {
    let mut world = World::new(1);
    world.settle(&[World::outcome(0, 1, 1, 500)]);
    let twin = world.settle_seen(&[World::outcome(0, 1, 9, 500)], vec![Seen::OtherExecution]);
    assert_eq!(twin, Folded { duplicates: 1, ..Folded::default() });
}

#[test]
fn rule_03_success_is_absorbing_whatever_came_before() {
    let mut world = World::new(1);
    world.settle(&[World::outcome(0, 1, 1, 500)]);
    world.settle_seen(&[World::outcome(0, 1, 9, 200)], vec![Seen::OtherExecution]);
    assert_eq!(world.delivery(0).state, DeliveryState::Succeeded { at: NOW });
    assert_eq!(world.endpoints[&endpoint()].health, Health::default(), "and resets health");
    let after = world.settle(&[World::outcome(0, 2, 2, 500)]);
    assert_eq!(world.delivery(0).state, DeliveryState::Succeeded { at: NOW });
    assert_eq!(after.publish, []);
}

#[test]
fn rule_01_an_older_rounds_outcome_changes_no_state() {
    let mut world = World::new(1);
    let id = world.delivery(0).id;
    let mut delivery = world.delivery(0);
    (delivery.round, delivery.first_attempt, delivery.attempt) = (2, 2, 2);
    world.deliveries.insert(id, delivery);
    let folded = world.settle(&[World::outcome(0, 1, 1, 200)]);
    assert_eq!(world.delivery(0), delivery);
    assert_eq!(folded.decision.deliveries[0].attempts_added, 1, "it is logged");
}

#[test]
fn rule_01_the_schedule_begins_anew_with_the_round() {
    let mut world = World::new(1);
    let id = world.delivery(0).id;
    let mut delivery = world.delivery(0);
    (delivery.round, delivery.first_attempt, delivery.attempt) = (2, 6, 6);
    world.deliveries.insert(id, delivery);
    let outcome = Outcome { round: 2, ..World::outcome(0, 6, 1, 500) };
    let folded = world.settle(&[outcome]);
    assert_eq!(folded.publish[0].at, Some(NOW + Duration::from_secs(30)));
}

#[test]
fn rule_07_not_active_is_judged_against_the_endpoints_row() {
    let mut world = World::new(1);
    let not_active = Outcome { fate: Fate::NotActive, ..World::outcome(0, 1, 1, 200) };
    let folded = world.settle(std::slice::from_ref(&not_active));
    assert_eq!((folded.publish.len(), folded.publish[0].at), (1, None), "active by now: published again");
    world.endpoints.get_mut(&endpoint()).expect("known").status = EndpointStatus::Disabled;
    world.settle(std::slice::from_ref(&not_active));
    assert_eq!(world.delivery(0).state, DeliveryState::Held);
    assert_eq!(world.delivery(0).attempt, 1, "no attempt was used");
    world.endpoints.clear();
    world.settle(&[not_active]);
    assert_eq!(world.delivery(0).state, DeliveryState::Cancelled);
}

#[test]
fn rule_09_attempts_begun_before_activation_do_not_touch_health() {
    let mut world = World::new(1);
    world.endpoints.get_mut(&endpoint()).expect("known").activated_at = Some(NOW + Duration::from_secs(1));
    let folded = world.settle(&[World::outcome(0, 1, 1, 500)]);
    assert!(folded.decision.health.is_empty());
    assert_eq!(folded.decision.deliveries[0].attempts_added, 1);
}

#[test]
fn rule_13_failing_throughout_five_days() {
    let mut world = World::new(1);
    let days = |days: u64| NOW.before(Duration::from_hours(24 * days));
    for (failing_since, failures, expected) in [(5, 4, true), (4, 4, false), (5, 3, false)] {
        let facts = world.endpoints.get_mut(&endpoint()).expect("known");
        facts.status = EndpointStatus::Active;
        facts.health = Health { consecutive_failures: failures, failing_since: Some(days(failing_since)) };
        let folded = world.settle_seen(&[World::outcome_under("standard", 0, 1, 1, 500)], vec![Seen::New]);
        assert_eq!(!folded.decision.suspended.is_empty(), expected, "{failing_since} days, {failures} before");
        let id = world.delivery(0).id;
        world.deliveries.insert(id, Delivery::new(event(0), endpoint(), DeliveryState::Pending));
    }
}

#[test]
fn rule_12_gone_fails_this_delivery_and_suspends() {
    let mut world = World::new(1);
    let folded = world.settle(&[World::outcome_under("standard", 0, 1, 1, 410)]);
    assert_eq!(world.delivery(0).state, DeliveryState::Failed { reason: FailReason::Gone, at: NOW });
    assert_eq!(folded.decision.suspended[0].reason, SuspendReason::Gone);
    let mut other = World::new(1);
    assert_eq!(other.settle(&[World::outcome(0, 1, 1, 410)]).decision.suspended, []);
}

#[test]
fn rule_20_only_attempts_really_inserted_count_for_health() {
    let mut world = World::new(1);
    let twins = [World::outcome(0, 1, 1, 500), World::outcome(0, 1, 2, 500), World::outcome(0, 1, 1, 500)];
    let seen = vec![Seen::New, Seen::OtherExecution, Seen::SameExecution];
    let folded = world.settle_seen(&twins, seen);
    assert_eq!(world.endpoints[&endpoint()].health.consecutive_failures, 1);
    assert_eq!(folded.decision.deliveries[0].attempts_added, 1);
}

#[test]
fn rule_28_an_unknown_deliverys_outcome_is_counted() {
    let mut world = World::new(0);
    let folded = world.settle(&[World::outcome(7, 1, 1, 200)]);
    assert_eq!(folded, Folded { unknown: 1, ..Folded::default() });
}

/// Three deliveries' attempts, interleaved, with these results: `None` of a delivery that is done.
fn history(results: &[(u8, bool)]) -> Vec<Outcome> {
    let mut next = [1u32; 3];
    let mut done = HashSet::new();
    let mut outcomes = Vec::new();
    for (execution, (number, success)) in (0u8..).zip(results) {
        let attempt = &mut next[usize::from(*number)];
        if done.contains(number) || *attempt > 5 {
            continue;
        }
        outcomes.push(World::outcome(*number, *attempt, execution, if *success { 200 } else { 500 }));
        *attempt += 1;
        if *success {
            done.insert(*number);
        }
    }
    outcomes
}

#[test]
fn ten_consecutive_failures_across_three_deliveries_suspend_nine_and_a_success_do_not() {
    let failures: Vec<(u8, bool)> = (0..10).map(|place| (place % 3, false)).collect();
    let mut world = World::new(3);
    world.settle(&history(&failures));
    assert!(world.suspended());
    let mut nine = failures[..9].to_vec();
    nine.extend([(0, true), (1, false), (2, false)]);
    let mut world = World::new(3);
    world.settle(&history(&nine));
    assert!(!world.suspended());
}

proptest! {
    /// Rule 13: the result does not depend on how the outcomes were batched.
    #[test]
    fn rule_13_batching_does_not_matter(
        results in prop::collection::vec((0u8..3, prop::bool::weighted(0.08)), 1..24),
        cuts in prop::collection::vec(any::<bool>(), 24),
    ) {
        let outcomes = history(&results);
        let mut single = World::new(3);
        for outcome in &outcomes {
            single.settle(std::slice::from_ref(outcome));
        }
        let mut batched = World::new(3);
        let mut batch = Vec::new();
        for (outcome, cut) in outcomes.iter().zip(cuts) {
            batch.push(outcome.clone());
            if cut {
                batched.settle(&std::mem::take(&mut batch));
            }
        }
        batched.settle(&batch);
        prop_assert_eq!(&single.deliveries, &batched.deliveries);
        prop_assert_eq!(&single.endpoints, &batched.endpoints);
        let longest = outcomes.iter().fold((0, 0), |(run, longest), outcome| {
            let Fate::Attempted(attempted) = &outcome.fate else { return (run, longest) };
            let run = if attempted.is_success() { 0 } else { run + 1 };
            (run, longest.max(run))
        }).1;
        prop_assert_eq!(single.suspended(), longest >= 10);
    }
}
