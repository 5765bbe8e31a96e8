//! `Ledger::settle`, by several callers at once.

use anyhow::ensure;
use futures::future::try_join_all;
use std::sync::atomic::{AtomicBool, Ordering};
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::{Endpoint, Health};
use whimbrel_core::judge::Seen;
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{Decision, Facts, StoreError};

use super::world::insist;
use super::{Checked, World};

/// Settles as often as the store asks for it.
pub(super) async fn settle(
    world: &World,
    outcomes: &[Outcome],
    decide: impl Fn(&Facts) -> Decision + Send + Sync,
) -> Result<Decision, StoreError> {
    insist(async || world.store.settle(outcomes, &decide).await).await
}

/// One more failure on the health that was read.
fn one_more(endpoint: &Endpoint, facts: &Facts) -> Decision {
    let Some(found) = facts.endpoints.get(&endpoint.id) else { return Decision::default() };
    let health = Health {
        consecutive_failures: found.health.consecutive_failures + 1,
        failing_since: found.health.failing_since.or(Some(endpoint.created_at)),
    };
    Decision { health: vec![(endpoint.id, health)], ..Decision::default() }
}

/// Twenty failures of one endpoint, each settled by a tracker of its own at the same time: none is lost.
pub async fn rule_13_concurrent_failures_are_counted_one_by_one(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(world.failure(&world.delivery(&endpoint).await?, 1));
    }
    let settles = outcomes
        .iter()
        .map(|outcome| settle(world, std::slice::from_ref(outcome), |facts: &Facts| one_more(&endpoint, facts)));
    try_join_all(settles).await?;
    let failures = world.stored(&endpoint).await?.health.consecutive_failures;
    ensure!(failures == 20, "{failures} of 20 failures were counted");
    Ok(())
}

/// Two POSTs under one attempt number arrive at two trackers at once: one is new, the other a duplicate.
pub async fn rule_02_concurrent_settles_record_one_execution(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    for _ in 0..10 {
        let delivery = world.delivery(&endpoint).await?;
        let outcomes = [world.success(&delivery, 1), world.failure(&delivery, 1)];
        let new = [AtomicBool::new(false), AtomicBool::new(false)];
        let settles = outcomes.iter().zip(&new).map(|(outcome, new)| {
            // Asked again, an engine has seen more: its last question counts.
            settle(world, std::slice::from_ref(outcome), |facts: &Facts| {
                new.store(facts.seen == [Seen::New], Ordering::SeqCst);
                Decision::default()
            })
        });
        try_join_all(settles).await?;
        let recorded = world.store.delivery(&acme, delivery.id).await?.map_or(0, |(_, attempts)| attempts.len());
        ensure!(recorded == 1, "{recorded} attempts are recorded");
        let times = new.iter().filter(|new| new.load(Ordering::SeqCst)).count();
        ensure!(times == 1, "the attempt was new {times} times");
    }
    Ok(())
}

/// Trackers whose batches hold the same deliveries of the same endpoints in opposite orders all get through,
/// and no failure is counted twice or lost.
pub async fn settles_of_overlapping_batches_all_commit(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let two = world.endpoint(&acme).await?;
    let (a, b) = (world.delivery(&one).await?, world.delivery(&two).await?);
    let mut batches = Vec::new();
    for attempt in 1..=8 {
        let mut batch = [world.failure(&a, attempt), world.failure(&b, attempt)];
        if attempt % 2 == 0 {
            batch.reverse();
        }
        batches.push(batch);
    }
    let decide = |facts: &Facts| {
        let health = [&one, &two].into_iter().flat_map(|endpoint| one_more(endpoint, facts).health).collect();
        Decision { health, ..Decision::default() }
    };
    try_join_all(batches.iter().map(|batch| settle(world, batch, decide))).await?;
    for (endpoint, delivery) in [(&one, &a), (&two, &b)] {
        let failures = world.stored(endpoint).await?.health.consecutive_failures;
        ensure!(failures == 8, "{failures} of 8 failures were counted");
        let recorded = world.store.delivery(&acme, delivery.id).await?.map_or(0, |(_, attempts)| attempts.len());
        ensure!(recorded == 8, "{recorded} of 8 attempts are recorded");
    }

    // And they left the rows as they are to be written by the next one.
    world.put(Delivery { state: DeliveryState::Held, ..a }).await?;
    ensure!(world.position(&a).await?.state == DeliveryState::Held, "the delivery cannot be written");
    Ok(())
}
