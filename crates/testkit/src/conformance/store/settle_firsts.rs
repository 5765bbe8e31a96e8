//! `Ledger::settle` of first attempts that succeeded, which engines may write without having looked.

use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use futures::future::try_join_all;
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState};
use whimbrel_core::outcome::{Outcome, Reply};
use whimbrel_core::port::{Decision, DeliveryChange, Facts, Lane};

use super::ledger::BASE;
use super::settle::{every_state, settle_and_see};
use super::settle_races::settle;
use super::world::{insist, tenant_id};
use super::{Checked, World};

/// Ends what is not at its end, as a tracker does that has heard of nothing but successes.
fn succeeded(world: &World, outcomes: &[Outcome], facts: &Facts) -> Decision {
    let change = |outcome: &Outcome| {
        let delivery = facts.deliveries.get(&outcome.delivery).filter(|delivery| !delivery.state.is_final())?;
        Some(DeliveryChange {
            delivery: Delivery { state: DeliveryState::Succeeded { at: world.now() }, ..*delivery },
            attempts_added: 1,
            last: Some((outcome.attempt_row()?.status_code, None)),
            sweep_at: None,
        })
    };
    Decision { deliveries: outcomes.iter().filter_map(change).collect(), ..Decision::default() }
}

/// The delivery as the log shows it, and how many attempts are in it.
async fn logged(world: &World, delivery: &Delivery) -> anyhow::Result<(DeliveryRow, usize)> {
    let (row, attempts) = world.logged(&tenant_id("acme"), delivery).await?;
    Ok((row, attempts.len()))
}

/// More than a statement's worth, with different status codes, beside a success at the second attempt.
pub async fn first_successes_end_their_deliveries(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let fanouts: Vec<_> = (0..300).map(|_| world.fanout(world.event(&acme, "order.created"), &[endpoint.id])).collect();
    world.store.accept(&fanouts).await?;
    let deliveries: Vec<Delivery> = fanouts.iter().map(|fanout| fanout.deliveries[0]).collect();
    let retried = world.retry_later(&world.delivery(&endpoint).await?).await?;
    let status = |place: usize| if place.is_multiple_of(3) { 204 } else { 200 };
    let reply = |status| Reply::Response { status, body: Bytes::new(), retry_after: None };
    let mut batch: Vec<_> =
        deliveries.iter().enumerate().map(|(place, first)| world.posted(first, 1, reply(status(place)))).collect();
    batch.push(world.success(&retried, 2));
    let facts = settle_and_see(world, &batch, |facts| succeeded(world, &batch, facts)).await?;
    for delivery in deliveries.iter().chain([&retried]) {
        ensure!(facts.deliveries.get(&delivery.id) == Some(delivery), "{delivery:?} was seen otherwise");
    }

    for (place, delivery) in deliveries.iter().enumerate() {
        let (row, recorded) = logged(world, delivery).await?;
        ensure!(matches!(row.delivery.state, DeliveryState::Succeeded { .. }), "{row:?}");
        let expected = (1, 1, Some(status(place)), None);
        ensure!((recorded, row.attempts, row.status_code, row.error.clone()) == expected, "{row:?}");
    }
    let (row, recorded) = logged(world, &retried).await?;
    ensure!((recorded, row.attempts, row.status_code) == (2, 2, Some(200)), "{row:?}");
    let later = world.now() + Duration::from_hours(24);
    for lane in Lane::ALL {
        let overdue = world.store.overdue(lane, later, later, BASE, 10).await?;
        ensure!(overdue.is_empty(), "{overdue:?} are swept");
    }
    Ok(())
}

/// Whatever became of a delivery meanwhile is what `decide` sees, and the others of the batch are settled with it.
pub async fn rule_03_a_first_success_finds_what_became_of_its_delivery(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    for state in every_state(world.now()) {
        let stored = world.delivery_in(&endpoint, state).await?;
        let other = world.delivery(&endpoint).await?;
        let unknown = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]).deliveries[0];
        let batch = [world.success(&stored, 1), world.success(&other, 1), world.success(&unknown, 1)];
        let facts = settle_and_see(world, &batch, |facts| succeeded(world, &batch, facts)).await?;
        ensure!(facts.deliveries.len() == 2, "{:?}", facts.deliveries);
        ensure!(facts.deliveries.get(&stored.id) == Some(&stored), "{:?} instead of {stored:?}", facts.deliveries);

        let (row, recorded) = logged(world, &stored).await?;
        let is_right = match state {
            DeliveryState::Cancelled | DeliveryState::Failed { .. } => row.delivery.state == state,
            _ => matches!(row.delivery.state, DeliveryState::Succeeded { .. }),
        };
        ensure!(is_right && recorded == 1, "{row:?} with {recorded} attempts after {state:?}");
        let (row, recorded) = logged(world, &other).await?;
        ensure!(matches!(row.delivery.state, DeliveryState::Succeeded { .. }), "{row:?}");
        ensure!((recorded, row.attempts) == (1, 1), "{row:?} with {recorded} attempts");
        ensure!(world.store.positions(&[unknown.id]).await?.is_empty(), "{unknown:?} became known");
    }
    Ok(())
}

/// Two trackers that hear of the same successes at once, in opposite orders: each is recorded and counted once.
pub async fn rule_02_first_successes_told_twice_count_once(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    for _ in 0..5 {
        let mut deliveries = Vec::new();
        for _ in 0..20 {
            deliveries.push(world.delivery(&endpoint).await?);
        }
        let batch: Vec<_> = deliveries.iter().map(|delivery| world.success(delivery, 1)).collect();
        let reversed: Vec<_> = batch.iter().rev().cloned().collect();
        let settles = [&batch, &reversed].map(|batch| settle(world, batch, |facts| succeeded(world, batch, facts)));
        try_join_all(settles).await?;
        for delivery in &deliveries {
            let (row, recorded) = logged(world, delivery).await?;
            ensure!(matches!(row.delivery.state, DeliveryState::Succeeded { .. }), "{row:?}");
            ensure!((recorded, row.attempts) == (1, 1), "{row:?} with {recorded} attempts");
        }
    }
    Ok(())
}

/// An endpoint is deleted while its successes are settled: each delivery has one end, and its attempt is kept.
pub async fn rule_07_first_successes_and_a_deletion_agree(world: &World) -> Checked {
    let (acme, _) = world.acme().await?;
    for _ in 0..10 {
        let endpoint = world.endpoint(&acme).await?;
        let mut deliveries = Vec::new();
        for _ in 0..5 {
            deliveries.push(world.delivery(&endpoint).await?);
        }
        let batch: Vec<_> = deliveries.iter().map(|delivery| world.success(delivery, 1)).collect();
        let settling = settle(world, &batch, |facts| succeeded(world, &batch, facts));
        let deleting = insist(async || world.store.delete_endpoint(&acme, endpoint.id).await);
        let (_, deleted) = tokio::try_join!(settling, deleting)?;
        ensure!(deleted, "the endpoint was there");
        for delivery in &deliveries {
            let (row, recorded) = logged(world, delivery).await?;
            let is_right = match row.delivery.state {
                DeliveryState::Succeeded { .. } => row.attempts == 1,
                state => state == DeliveryState::Cancelled,
            };
            ensure!(is_right && recorded == 1, "{row:?} with {recorded} attempts");
        }
    }
    Ok(())
}
