//! `Ledger`: what is to be published, and by whom.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::event::TraceContext;
use whimbrel_core::port::{Fanout, Lane, Store, ToPublish};
use whimbrel_core::{DeliveryId, Timestamp};

use super::world::{contract, sorted};
use super::{Checked, World};

pub(super) const BASE: Duration = Duration::from_mins(1);

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
        let early = world.store.overdue(Lane::Live, due.before(Duration::from_micros(1)), due, BASE, 10).await?;
        ensure!(early.is_empty(), "{early:?} before its time");
        let claimed = world.store.overdue(Lane::Live, due, due, BASE, 10).await?;
        ensure!(claimed == [delivery], "{claimed:?} at its time");
        due = due + BASE * factor;
    }

    // One that is settled is no longer looked at.
    world.put(Delivery { state: DeliveryState::Succeeded { at: due }, ..delivery }).await?;
    let later = due + Duration::from_hours(24);
    let settled = world.store.overdue(Lane::Live, later, later, BASE, 10).await?;
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
        let claimed = world.store.overdue(Lane::Live, now, now, BASE, 2).await?;
        ensure!(claimed == expected, "{claimed:?} instead of {expected:?}");
    }
    Ok(())
}

/// A lane is asked with those that came last; asking takes nothing.
pub async fn last_overdue_is_the_latest_and_claims_nothing(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let now = world.now() + Duration::from_hours(1);
    let mut deliveries = Vec::new();
    for minutes in [1, 3, 2] {
        let fanout = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]);
        deliveries.push(swept_at(world, fanout, now.before(Duration::from_mins(minutes))).await?);
    }
    for _ in 0..2 {
        let last = world.store.last_overdue(Lane::Live, now, 2).await?;
        ensure!(last == [deliveries[0], deliveries[2]], "{last:?}");
    }
    let earlier = world.store.last_overdue(Lane::Live, now.before(Duration::from_mins(2)), 1).await?;
    ensure!(earlier == [deliveries[2]], "{earlier:?}");
    ensure!(world.store.last_overdue(Lane::Slow, now, 2).await?.is_empty(), "nothing is overdue in that lane");
    Ok(())
}

/// A lane that is behind is not swept (rule 18), so each is asked for by itself: first attempts, retries of every kind,
/// and what a replay began.
pub async fn rule_18_overdue_is_per_lane(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let live = world.delivery(&endpoint).await?;
    let retrying = world.retry_later(&world.delivery(&endpoint).await?).await?;
    let failed = world.fail(&world.delivery(&endpoint).await?).await?;
    world.store.retry(&acme, failed.id).await?;
    let manual = world.store.take_waiting(world.now(), 10).await?;
    world.held(&endpoint, 3).await?;
    let released = world.advance(&world.release(&endpoint).await?, 10).await?.taken;
    let retried = world.fail(&released[0]).await?;
    world.store.retry(&acme, retried.id).await?;
    let after_release = world.store.take_waiting(world.now(), 10).await?;
    ensure!(manual.len() == 1 && after_release.len() == 1, "{manual:?} and {after_release:?} were taken");
    let failed_again = world.retry_later(&released[1]).await?;

    let slow = sorted(vec![retrying, manual[0], after_release[0], failed_again]);
    let until = world.now() + Duration::from_hours(1);
    for (lane, expected) in [(Lane::Bulk, vec![released[2]]), (Lane::Slow, slow), (Lane::Live, vec![live])] {
        let swept = sorted(world.store.overdue(lane, until, until, BASE, 10).await?);
        ensure!(swept == expected, "{swept:?} instead of {expected:?} in the lane {lane}");
        let again = world.store.overdue(lane, until, until, BASE, 10).await?;
        ensure!(again.is_empty(), "{again:?} were claimed twice");
    }
    Ok(())
}

/// What was due for long is next due from now on, so that a sweep after an outage does not find it at once again.
pub async fn rule_18_the_next_sweep_counts_from_now(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let due = world.now();
    let delivery = swept_at(world, world.fanout(world.event(&acme, "order.created"), &[endpoint.id]), due).await?;
    let now = due + Duration::from_hours(5);
    for expected in [vec![delivery], vec![]] {
        let claimed = world.store.overdue(Lane::Live, now, now, BASE, 10).await?;
        ensure!(claimed == expected, "{claimed:?} instead of {expected:?}");
    }
    let next = now + BASE;
    let claimed = world.store.overdue(Lane::Live, next, next, BASE, 10).await?;
    ensure!(claimed == [delivery], "{claimed:?} after the base");
    Ok(())
}

/// Two sweeps at once, as when a lease was lost: each delivery is claimed by one of them.
pub async fn rule_18_two_sweeps_claim_each_delivery_once(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let now = world.now() + Duration::from_hours(1);
    let endpoints: Vec<_> = (0..40).map(|_| world.new_endpoint(&acme).id).chain([endpoint.id]).collect();
    swept_at(world, world.fanout(world.event(&acme, "order.created"), &endpoints), now).await?;

    let sweep = async |store: &dyn Store| {
        let mut claimed = Vec::new();
        loop {
            let batch = store.overdue(Lane::Live, now, now, BASE, 7).await?;
            if batch.is_empty() {
                return anyhow::Ok(claimed);
            }
            claimed.extend(batch);
        }
    };
    let (mut one, other) = tokio::try_join!(sweep(&*world.store), sweep(&*world.other))?;
    one.extend(other);
    each_once(&one.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), 41)
}

fn each_once(ids: &[DeliveryId], expected: usize) -> Checked {
    let distinct = ids.iter().collect::<HashSet<_>>().len();
    ensure!(distinct == expected, "{distinct} of {expected} deliveries were taken");
    ensure!(ids.len() == expected, "{} deliveries were taken twice", ids.len() - expected);
    Ok(())
}

/// For good, and swept like any other retry then. What was deferred is a replay's to take, what is held a release's.
pub async fn take_waiting_makes_pending_what_someone_asked_for(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let mut expected = Vec::new();
    for round in [2, 3] {
        let state = DeliveryState::Waiting(WaitReason::Manual);
        let waiting = Delivery { state, round, first_attempt: 4, attempt: 4, ..world.delivery(&endpoint).await? };
        world.put(waiting).await?;
        expected.push(Delivery { state: DeliveryState::Pending, ..waiting });
    }
    let deferred = world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Deferred)).await?;
    let held = world.delivery_in(&endpoint, DeliveryState::Held).await?;
    let sweep_at = world.now() + Duration::from_mins(5);
    let taken = world.store.take_waiting(sweep_at, 10).await?;
    ensure!(taken == expected, "{taken:?} instead of {expected:?}");
    ensure!(world.store.take_waiting(sweep_at, 10).await?.is_empty(), "they were taken again");
    for delivery in expected.iter().chain([&deferred, &held]) {
        let stored = world.position(delivery).await?;
        ensure!(stored == *delivery, "{stored:?} instead of {delivery:?}");
    }
    let early = sweep_at.before(Duration::from_micros(1));
    ensure!(world.store.overdue(Lane::Slow, early, early, BASE, 10).await?.is_empty(), "they are swept too early");
    let swept = sorted(world.store.overdue(Lane::Slow, sweep_at, sweep_at, BASE, 10).await?);
    ensure!(swept == expected, "{swept:?} are swept at their time");
    Ok(())
}

/// As many as asked for, in the order of their events.
pub async fn take_waiting_takes_the_oldest_first(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let deliveries =
        [world.delivery(&endpoint).await?, world.delivery(&endpoint).await?, world.delivery(&endpoint).await?];
    for place in [2, 0, 1] {
        world.put(Delivery { state: DeliveryState::Waiting(WaitReason::Manual), ..deliveries[place] }).await?;
    }
    for expected in [vec![deliveries[0], deliveries[1]], vec![deliveries[2]], vec![]] {
        let taken = world.store.take_waiting(world.now(), 2).await?;
        ensure!(taken == expected, "{taken:?} instead of {expected:?}");
    }
    Ok(())
}

/// Two trackers at once: no job is published by both.
pub async fn two_takers_take_each_waiting_delivery_once(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    for _ in 0..30 {
        world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Manual)).await?;
    }
    let take = async |store: &dyn Store| {
        let mut taken = Vec::new();
        loop {
            let batch = store.take_waiting(world.now(), 4).await?;
            if batch.is_empty() {
                return anyhow::Ok(taken);
            }
            taken.extend(batch.iter().map(|delivery| delivery.id));
        }
    };
    let (mut one, other) = tokio::try_join!(take(&*world.store), take(&*world.other))?;
    one.extend(other);
    each_once(&one, 30)
}
