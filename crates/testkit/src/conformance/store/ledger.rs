//! `Ledger`: what is to be published, and by whom.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::event::TraceContext;
use whimbrel_core::port::{Fanout, ToPublish};
use whimbrel_core::{DeliveryId, Timestamp};

use super::world::{contract, sorted};
use super::{Checked, World};

const BASE: Duration = Duration::from_mins(1);

/// Everything but the secrets; unknown deliveries are left out.
pub async fn to_publish_carries_what_the_job_needs(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut event = world.event(&acme, "order.created");
    event.trace = TraceContext { traceparent: "00-01-02-01".to_owned(), tracestate: "vendor=1".to_owned() };
    let fanout = world.fanout(event.clone(), &[endpoint.id]);
    world.accept(&fanout).await?;
    let state = DeliveryState::Retrying { at: world.now() };
    let retrying = Delivery { state, attempt: 2, ..fanout.deliveries[0] };
    world.put(retrying).await?;

    let absent = world.fanout(world.event(&acme, "order.lost"), &[endpoint.id]).deliveries[0];
    let found = world.store.to_publish(&[absent.id, retrying.id]).await?;
    let expected = ToPublish {
        delivery: retrying,
        tenant: acme,
        contract: contract("standard"),
        event_type: event.event_type,
        occurred_at: event.occurred_at,
        body: event.body,
        trace: event.trace,
        endpoint_version: endpoint.version,
    };
    ensure!(found == std::slice::from_ref(&expected), "{found:?} instead of {expected:?}");
    ensure!(world.store.to_publish(&[]).await?.is_empty(), "something to publish of nothing");
    Ok(())
}

/// The sender finds no endpoint and says so; the version says that there was none.
pub async fn to_publish_without_endpoint_has_version_zero(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    let found = world.store.to_publish(&[delivery.id]).await?;
    ensure!(found.len() == 1 && found[0].endpoint_version == 0, "{found:?}");
    Ok(())
}

/// A pending delivery that the sweep is to look at then.
async fn swept_at(world: &World, fanout: Fanout, sweep_at: Timestamp) -> anyhow::Result<Delivery> {
    let fanout = Fanout { sweep_at, ..fanout };
    world.accept(&fanout).await?;
    Ok(fanout.deliveries[0])
}

/// Not before its time; claimed, it is next due after the base, then twice, then four times that.
pub async fn rule_18_overdue_doubles(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut due = world.now() + Duration::from_hours(1);
    let delivery = swept_at(world, world.fanout(world.event(&acme, "order.created"), &[endpoint.id]), due).await?;
    for factor in [1, 2, 4] {
        let early = world.store.overdue(due.before(Duration::from_micros(1)), BASE, 10).await?;
        ensure!(early.is_empty(), "{early:?} before its time");
        let claimed = world.store.overdue(due, BASE, 10).await?;
        ensure!(claimed == [delivery], "{claimed:?} at its time");
        due = due + BASE * factor;
    }

    // One that is settled is no longer looked at.
    world.put(Delivery { state: DeliveryState::Succeeded { at: due }, ..delivery }).await?;
    let settled = world.store.overdue(due + Duration::from_hours(24), BASE, 10).await?;
    ensure!(settled.is_empty(), "{settled:?} after it was settled");
    Ok(())
}

/// As many as asked for, those first whose time came first.
pub async fn overdue_takes_the_oldest_first(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let now = world.now() + Duration::from_hours(1);
    let mut deliveries = Vec::new();
    for minutes in [1, 3, 2] {
        let fanout = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]);
        deliveries.push(swept_at(world, fanout, now.before(Duration::from_mins(minutes))).await?);
    }
    for expected in [vec![deliveries[1], deliveries[2]], vec![deliveries[0]], vec![]] {
        let claimed = world.store.overdue(now, BASE, 2).await?;
        ensure!(claimed == expected, "{claimed:?} instead of {expected:?}");
    }
    Ok(())
}

/// Two sweeps at once, as when a lease was lost: each delivery is claimed by one of them.
pub async fn rule_18_two_sweeps_claim_each_delivery_once(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let now = world.now() + Duration::from_hours(1);
    let endpoints: Vec<_> = (0..40).map(|_| world.new_endpoint(&acme).id).chain([endpoint.id]).collect();
    swept_at(world, world.fanout(world.event(&acme, "order.created"), &endpoints), now).await?;

    let sweep = || async {
        let mut claimed = Vec::new();
        loop {
            let batch = world.store.overdue(now, BASE, 7).await?;
            if batch.is_empty() {
                return anyhow::Ok(claimed);
            }
            claimed.extend(batch);
        }
    };
    let (mut one, other) = tokio::try_join!(sweep(), sweep())?;
    one.extend(other);
    each_once(&one.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), 41)
}

fn each_once(ids: &[DeliveryId], expected: usize) -> Checked {
    let distinct = ids.iter().collect::<HashSet<_>>().len();
    ensure!(distinct == expected, "{distinct} of {expected} deliveries were taken");
    ensure!(ids.len() == expected, "{} deliveries were taken twice", ids.len() - expected);
    Ok(())
}

/// Each reason comes back; the delivery is pending then, for good, and swept like any other.
pub async fn take_waiting_makes_pending_and_says_why(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let mut expected = Vec::new();
    for reason in [WaitReason::Manual, WaitReason::Deferred, WaitReason::Release, WaitReason::Replay] {
        let waiting = world.delivery_in(&endpoint, DeliveryState::Waiting(reason)).await?;
        expected.push((Delivery { state: DeliveryState::Pending, ..waiting }, reason));
    }
    world.delivery_in(&endpoint, DeliveryState::Held).await?;
    let sweep_at = world.now() + Duration::from_mins(5);
    let taken = world.store.take_waiting(sweep_at, 10).await?;
    ensure!(taken == expected, "{taken:?} instead of {expected:?}");
    ensure!(world.store.take_waiting(sweep_at, 10).await?.is_empty(), "they were taken again");
    let deliveries: Vec<_> = expected.iter().map(|(delivery, _)| *delivery).collect();
    for delivery in &deliveries {
        ensure!(world.position(delivery).await? == *delivery, "it is not stored as pending");
    }
    ensure!(sorted(world.store.overdue(sweep_at, BASE, 10).await?) == deliveries, "they are not swept at their time");
    Ok(())
}

/// As many as asked for, in the order of their events.
pub async fn take_waiting_takes_the_oldest_first(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let deliveries =
        [world.delivery(&endpoint).await?, world.delivery(&endpoint).await?, world.delivery(&endpoint).await?];
    for place in [2, 0, 1] {
        world.put(Delivery { state: DeliveryState::Waiting(WaitReason::Release), ..deliveries[place] }).await?;
    }
    for expected in [vec![deliveries[0], deliveries[1]], vec![deliveries[2]], vec![]] {
        let taken = world.store.take_waiting(world.now(), 2).await?;
        let taken: Vec<_> = taken.into_iter().map(|(delivery, _)| delivery).collect();
        ensure!(taken == expected, "{taken:?} instead of {expected:?}");
    }
    Ok(())
}

/// Two trackers at once: no job is published by both.
pub async fn two_takers_take_each_waiting_delivery_once(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    for _ in 0..30 {
        world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Replay)).await?;
    }
    let take = || async {
        let mut taken = Vec::new();
        loop {
            let batch = world.store.take_waiting(world.now(), 4).await?;
            if batch.is_empty() {
                return anyhow::Ok(taken);
            }
            taken.extend(batch.into_iter().map(|(delivery, _)| delivery.id));
        }
    };
    let (mut one, other) = tokio::try_join!(take(), take())?;
    one.extend(other);
    each_once(&one, 30)
}
