//! `Ledger::settle`, one caller at a time.

use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use whimbrel_core::delivery::{Attempt, Delivery, DeliveryState, FailReason, WaitReason};
use whimbrel_core::endpoint::{Endpoint, EndpointStatus, Health, SuspendReason};
use whimbrel_core::judge::Seen;
use whimbrel_core::outcome::{Fate, Outcome, Reply};
use whimbrel_core::port::{Decision, DeliveryChange, Facts, Suspended};
use whimbrel_core::{DeliveryId, Timestamp};

use super::world::{nothing, of};
use super::{Checked, World};

/// Settles, and gives the facts that `decide` saw.
pub(super) async fn settle_and_see(
    world: &World,
    outcomes: &[Outcome],
    decide: impl Fn(&Facts) -> Decision + Send + Sync,
) -> anyhow::Result<Facts> {
    let seen = Mutex::new(None);
    let look = |facts: &Facts| {
        *seen.lock().expect("no panic while the lock is held") = Some(facts.clone());
        decide(facts)
    };
    world.store.settle(outcomes, &look).await?;
    seen.into_inner()?.context("decide was not asked")
}

async fn attempts(world: &World, delivery: &Delivery, endpoint: &Endpoint) -> anyhow::Result<Vec<Attempt>> {
    Ok(world.logged(&endpoint.tenant, delivery).await?.1)
}

/// An empty batch is no error.
pub async fn settle_of_nothing_changes_nothing(world: &World) -> Checked {
    let decision = world.store.settle(&[], &nothing).await?;
    ensure!(decision == Decision::default(), "{decision:?}");
    Ok(())
}

/// An attempt is new once. The same POST again is the same execution; another POST under its number is not
/// recorded in its place.
pub async fn rule_02_an_attempt_is_new_then_the_same_then_another(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    let (first, other) = (world.failure(&delivery, 1), world.success(&delivery, 1));
    let next = world.failure(&delivery, 2);
    let cases =
        [(&first, Seen::New), (&first, Seen::SameExecution), (&other, Seen::OtherExecution), (&next, Seen::New)];
    for (outcome, expected) in cases {
        let facts = settle_and_see(world, std::slice::from_ref(outcome), nothing).await?;
        ensure!(facts.seen == [expected], "{:?} instead of {expected:?} for {outcome:?}", facts.seen);
    }
    let recorded = attempts(world, &delivery, &endpoint).await?;
    let expected: Vec<_> = [&first, &next].into_iter().filter_map(Outcome::attempt_row).collect();
    ensure!(recorded == expected, "{recorded:?} instead of {expected:?}");
    Ok(())
}

/// Within a batch, earlier outcomes come first; other deliveries' attempts of the same number are their own.
pub async fn rule_02_twice_in_one_batch(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let (one, two) = (world.delivery(&endpoint).await?, world.delivery(&endpoint).await?);
    let stored = world.failure(&two, 1);
    world.store.settle(std::slice::from_ref(&stored), &nothing).await?;

    let first = world.failure(&one, 1);
    let batch = [
        stored.clone(),
        first.clone(),
        world.failure(&one, 1),
        first.clone(),
        world.failure(&one, 2),
        world.success(&two, 1),
    ];
    let facts = settle_and_see(world, &batch, nothing).await?;
    let expected =
        [Seen::SameExecution, Seen::New, Seen::OtherExecution, Seen::SameExecution, Seen::New, Seen::OtherExecution];
    ensure!(facts.seen == expected, "{:?} instead of {expected:?}", facts.seen);
    let recorded = attempts(world, &one, &endpoint).await?;
    let expected: Vec<_> = [&first, &batch[4]].into_iter().filter_map(Outcome::attempt_row).collect();
    ensure!(recorded == expected, "{recorded:?} instead of {expected:?}");
    ensure!(attempts(world, &two, &endpoint).await?.len() == 1, "a duplicate was recorded");
    Ok(())
}

/// A batch may be larger than a statement of the engine's: what is recorded already changes nothing for the others.
pub async fn rule_02_recorded_attempts_in_a_large_batch(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let fanouts: Vec<_> = (0..300).map(|_| world.fanout(world.event(&acme, "order.created"), &[endpoint.id])).collect();
    world.store.accept(&fanouts).await?;
    let mut batch: Vec<_> = fanouts.iter().map(|fanout| world.success(&fanout.deliveries[0], 1)).collect();
    world.store.settle(&batch[250..251], &nothing).await?;
    world.store.settle(&batch[40..41], &nothing).await?;
    batch[40] = world.success(&fanouts[40].deliveries[0], 1);

    let facts = settle_and_see(world, &batch, nothing).await?;
    for (place, seen) in facts.seen.iter().enumerate() {
        let expected = match place {
            40 => Seen::OtherExecution,
            250 => Seen::SameExecution,
            _ => Seen::New,
        };
        ensure!(*seen == expected, "{seen:?} at {place} instead of {expected:?}");
    }
    for fanout in &fanouts {
        let recorded = attempts(world, &fanout.deliveries[0], &endpoint).await?;
        ensure!(recorded.len() == 1, "{recorded:?} of {:?}", fanout.deliveries[0]);
    }
    Ok(())
}

/// What the sender hands back without a POST uses no attempt.
pub async fn an_outcome_without_an_attempt_is_new_and_recorded_nowhere(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    let batch = [of(&delivery, 1, Fate::Deferred), of(&delivery, 1, Fate::NotActive), of(&delivery, 1, Fate::Deferred)];
    let facts = settle_and_see(world, &batch, nothing).await?;
    ensure!(facts.seen == [Seen::New; 3], "{:?}", facts.seen);
    ensure!(facts.deliveries.get(&delivery.id) == Some(&delivery), "{:?}", facts.deliveries);
    ensure!(attempts(world, &delivery, &endpoint).await?.is_empty(), "an attempt was recorded");
    Ok(())
}

/// An outcome of a delivery that the store does not hold is new, and leaves nothing behind, while the rest of
/// its batch is settled.
pub async fn rule_28_an_unknown_delivery_is_recorded_nowhere(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let known = world.delivery(&endpoint).await?;
    let fanout = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]);
    let unknown = fanout.deliveries[0];
    let batch = [world.failure(&unknown, 1), world.failure(&known, 1)];
    let facts = settle_and_see(world, &batch, nothing).await?;
    ensure!(facts.seen == [Seen::New, Seen::New], "{:?}", facts.seen);
    let ids: Vec<DeliveryId> = facts.deliveries.keys().copied().collect();
    ensure!(ids == [known.id], "{ids:?} are known");
    ensure!(world.store.positions(&[unknown.id]).await?.is_empty(), "it became known");

    // The attempt would come to light with the delivery.
    world.accept(&fanout).await?;
    ensure!(attempts(world, &unknown, &endpoint).await?.is_empty(), "its attempt was recorded");
    ensure!(attempts(world, &known, &endpoint).await?.len() == 1, "the other attempt was not recorded");
    Ok(())
}

/// The facts are the rows as they are stored: deliveries by id, endpoints with status, health and versions.
pub async fn decide_sees_locked_facts(world: &World) -> Checked {
    let (_, failing) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let healthy = world.endpoint(&globex).await?;
    let (one, two) = (world.delivery(&failing).await?, world.delivery(&healthy).await?);
    let health = Health { consecutive_failures: 4, failing_since: Some(world.now()) };
    let decision = Decision { health: vec![(failing.id, health)], ..Decision::default() };
    world.store.settle(&[world.failure(&one, 1)], &|_: &Facts| decision.clone()).await?;

    let facts = settle_and_see(world, &[world.success(&two, 1), world.success(&one, 2)], nothing).await?;
    ensure!(facts.deliveries.len() == 2, "{:?}", facts.deliveries);
    ensure!(
        [&one, &two].map(|delivery| facts.deliveries.get(&delivery.id)) == [Some(&one), Some(&two)],
        "{:?}",
        facts.deliveries
    );
    for (endpoint, health) in [(&failing, health), (&healthy, Health::default())] {
        let stored = facts.endpoints.get(&endpoint.id).with_context(|| format!("{} is missing", endpoint.id))?;
        ensure!(stored.tenant == endpoint.tenant && stored.status == EndpointStatus::Active, "{stored:?}");
        ensure!(stored.health == health, "{:?} instead of {health:?}", stored.health);
        ensure!(stored.version == endpoint.version && stored.activated_at.is_none(), "{stored:?}");
    }
    Ok(())
}

/// A deleted endpoint's outcomes still find their deliveries, without facts of the endpoint.
pub async fn a_deleted_endpoint_is_missing_in_the_facts(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    let facts = settle_and_see(world, &[world.failure(&delivery, 1)], nothing).await?;
    ensure!(facts.deliveries.contains_key(&delivery.id), "the delivery is missing");
    ensure!(facts.endpoints.is_empty(), "{:?}", facts.endpoints);
    Ok(())
}

/// What was decided is what `settle` returns and what is stored; the log shows the last attempt.
pub async fn a_decision_is_written_and_returned(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let (one, two) = (world.delivery(&endpoint).await?, world.delivery(&endpoint).await?);
    let retrying = Delivery { state: DeliveryState::Retrying { at: world.now() }, attempt: 2, ..one };
    let succeeded = Delivery { state: DeliveryState::Succeeded { at: world.now() }, ..two };
    let error = "timeout: no response within 5s".to_owned();
    let decision = Decision {
        deliveries: vec![
            DeliveryChange { attempts_added: 1, last: Some((None, Some(error.clone()))), ..world.change(retrying) },
            DeliveryChange { attempts_added: 2, last: Some((Some(200), None)), ..world.change(succeeded) },
        ],
        ..Decision::default()
    };
    let outcomes = [world.failure(&one, 1), world.success(&two, 1)];
    let returned = world.store.settle(&outcomes, &|_: &Facts| decision.clone()).await?;
    ensure!(returned == decision, "{returned:?} instead of {decision:?}");

    let expected = [(retrying, 1, None, Some(error.clone())), (succeeded, 2, Some(200), None)];
    for (delivery, attempts, status_code, error) in expected {
        let (row, _) = world.store.delivery(&acme, delivery.id).await?.context("it was stored")?;
        ensure!(row.delivery == delivery, "{:?} instead of {delivery:?}", row.delivery);
        let shown = (row.attempts, row.status_code, row.error.clone());
        ensure!(shown == (attempts, status_code, error), "{row:?}");
    }

    // Attempts add up; without a new one, the last one stays.
    let again = Decision {
        deliveries: vec![DeliveryChange { attempts_added: 3, ..world.change(retrying) }],
        ..Decision::default()
    };
    world.store.settle(&outcomes[..1], &|_: &Facts| again.clone()).await?;
    let (row, _) = world.store.delivery(&acme, one.id).await?.context("it was stored")?;
    ensure!(row.attempts == 4 && row.error == Some(error), "{row:?}");
    Ok(())
}

/// Every state there is, of that time.
pub(super) fn every_state(at: Timestamp) -> impl Iterator<Item = DeliveryState> {
    let waits = [WaitReason::Manual, WaitReason::Deferred];
    let fails = [FailReason::Exhausted, FailReason::Gone, FailReason::Refused, FailReason::Expired];
    waits
        .map(DeliveryState::Waiting)
        .into_iter()
        .chain(fails.map(move |reason| DeliveryState::Failed { reason, at }))
        .chain([DeliveryState::Retrying { at }, DeliveryState::Held, DeliveryState::Succeeded { at }])
        .chain([DeliveryState::Pending, DeliveryState::Cancelled])
}

/// Every state with all it carries, one after the other on one delivery.
pub async fn every_state_survives_the_store(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    for (state, round) in every_state(world.now()).zip(2..) {
        let expected = Delivery { state, round, first_attempt: round * 2, attempt: round * 3, ..delivery };
        world.put(expected).await?;
        let stored = world.position(&delivery).await?;
        ensure!(stored == expected, "{stored:?} instead of {expected:?}");
    }
    Ok(())
}

/// Successes on a clean record leave endpoint and tenant as they were.
pub async fn a_healthy_endpoint_costs_no_write(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let version = world.endpoints_version(&acme).await?;
    for _ in 0..3 {
        let delivery = world.delivery(&endpoint).await?;
        let succeeded = Delivery { state: DeliveryState::Succeeded { at: world.now() }, ..delivery };
        let decision = Decision { deliveries: vec![world.change(succeeded)], ..Decision::default() };
        world.store.settle(&[world.success(&delivery, 1)], &|_: &Facts| decision.clone()).await?;
    }
    let stored = world.stored(&endpoint).await?;
    ensure!(stored == endpoint, "{stored:?} instead of {endpoint:?}");
    ensure!(world.endpoints_version(&acme).await? == version, "the tenant's version rose");
    Ok(())
}

/// So that senders drop their copies and ingest holds new deliveries; health is kept as decided.
pub async fn a_suspension_raises_both_versions(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let healthy = world.endpoint(&acme).await?;
    let delivery = world.delivery(&endpoint).await?;
    let before = world.endpoints_version(&acme).await?;
    let since = world.now();
    for reason in [SuspendReason::ConsecutiveFailures, SuspendReason::FailingTooLong, SuspendReason::Gone] {
        let version = world.stored(&endpoint).await?.version;
        let health = Health { consecutive_failures: 10, failing_since: Some(since) };
        let suspended = vec![Suspended { endpoint: endpoint.id, reason, since }];
        let decision = Decision { health: vec![(endpoint.id, health)], suspended, ..Decision::default() };
        world.store.settle(&[world.failure(&delivery, 1)], &|_: &Facts| decision.clone()).await?;

        let stored = world.stored(&endpoint).await?;
        ensure!(stored.status == EndpointStatus::Suspended { reason, since }, "{:?}", stored.status);
        ensure!(stored.health == health, "{:?}", stored.health);
        ensure!(stored.version > version, "version {} after {version}", stored.version);
    }
    let after = world.endpoints_version(&acme).await?;
    ensure!(after > before, "the tenant's version is {after} after {before}");
    ensure!(world.stored(&healthy).await? == healthy, "another endpoint changed");
    Ok(())
}

/// Bytes that are no text, the largest status, no status, no error: all come back, in order.
pub async fn an_attempt_survives_the_store(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    let body = Bytes::from_static(&[0, 159, 146, 150, 255, b'\n']);
    let reply = Reply::Response { status: 999, body, retry_after: None };
    let outcomes = [world.posted(&delivery, 1, reply), world.success(&delivery, 2), world.failure(&delivery, 3)];
    world.store.settle(&outcomes, &nothing).await?;
    let recorded = attempts(world, &delivery, &endpoint).await?;
    let expected: Vec<_> = outcomes.iter().filter_map(Outcome::attempt_row).collect();
    ensure!(recorded == expected, "{recorded:?} instead of {expected:?}");
    Ok(())
}
