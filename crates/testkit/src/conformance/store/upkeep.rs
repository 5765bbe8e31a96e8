//! `Upkeep`: partitions, retention and counts.

use std::time::Duration;

use anyhow::{bail, ensure};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, DeliveryState, FailReason, WaitReason};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::{AuditEntry, Claim, Claimed, EndpointCounts, Lane, Page, UsageRow};
use whimbrel_core::replay::{ReplayFilter, ReplayKind};

use super::audit::entry;
use super::ledger::BASE;
use super::{Checked, World};

const DAY: Duration = Duration::from_hours(24);

/// The first moment of the UTC day so many days ago.
pub(super) fn midnight(now: Timestamp, days_ago: u32) -> Timestamp {
    Timestamp::from_secs(now.as_secs() / 86_400 * 86_400).before(DAY * days_ago)
}

/// Removes what is older, in as many steps as it takes.
pub(super) async fn prune(world: &World, before: Timestamp, now: Timestamp) -> anyhow::Result<u64> {
    let mut removed = 0;
    for _ in 0..20 {
        let pruned = world.store.prune(before, now).await?;
        removed += pruned.removed;
        if !pruned.more {
            return Ok(removed);
        }
    }
    bail!("there is more to remove after 20 steps")
}

/// The partitions of the coming days are there the second time.
pub async fn rule_27_preparing_days_again_is_no_error(world: &World) -> Checked {
    world.store.prepare_days().await?;
    world.store.prepare_days().await?;
    let (_, endpoint) = world.acme().await?;
    let tomorrow = world.store.ping().await? + DAY;
    let delivery = world.delivery_at(&endpoint, tomorrow).await?;
    world.stand(&[delivery]).await
}

/// Those of events accepted before the time and not at their end, as many a step as asked for; nothing looks at them
/// any more.
pub async fn rule_28_what_is_not_at_its_end_expires(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let before = midnight(world.now(), 30);
    let at = world.now();
    let open = [
        DeliveryState::Pending,
        DeliveryState::Retrying { at },
        DeliveryState::Waiting(WaitReason::Manual),
        DeliveryState::Waiting(WaitReason::Deferred),
        DeliveryState::Held,
    ];
    let over = [
        DeliveryState::Succeeded { at },
        DeliveryState::Failed { reason: FailReason::Exhausted, at },
        DeliveryState::Cancelled,
    ];
    let now = world.now();
    let (mut expired, mut others) = (Vec::new(), Vec::new());
    for (accepted, old) in [(before.before(Duration::from_millis(1)), true), (before, false)] {
        for state in open.into_iter().chain(over) {
            let new = world.delivery_at(&endpoint, accepted).await?;
            let delivery = Delivery { state, round: 2, first_attempt: 3, attempt: 4, ..new };
            world.put(delivery).await?;
            let expires = old && !state.is_final();
            let state = DeliveryState::Failed { reason: FailReason::Expired, at: now };
            if expires { expired.push(Delivery { state, ..delivery }) } else { others.push(delivery) }
        }
    }
    for expected in [3, 2, 0] {
        let count = world.store.expire(before, now, 3).await?;
        ensure!(count == expected, "{count} expired instead of {expected}");
    }
    world.stand(&expired).await?;
    world.stand(&others).await?;
    let until = world.now() + DAY;
    for lane in Lane::ALL {
        let swept = world.store.overdue(lane, until, until, BASE, 100).await?;
        ensure!(swept.iter().all(|delivery| others.contains(delivery)), "{swept:?} are swept");
    }
    Ok(())
}

/// Whole days of them, with deliveries and attempts; what was accepted at the time itself or later stays whole.
pub async fn rule_28_prune_removes_what_is_older(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let before = midnight(world.now(), 30);
    let mut old = Vec::new();
    for ago in [1, 2, 4] {
        for accepted in [before.before(DAY * ago), before.before(DAY * (ago - 1) + Duration::from_millis(1))] {
            old.push(world.succeed(&world.delivery_at(&endpoint, accepted).await?).await?);
        }
    }
    let mut kept = Vec::new();
    for accepted in [before, before + DAY, world.now()] {
        kept.push(world.succeed(&world.delivery_at(&endpoint, accepted).await?).await?);
    }
    ensure!(prune(world, before, world.now()).await? > 0, "nothing was removed");

    for old in &old {
        ensure!(world.store.event(&acme, old.event).await?.is_none(), "{} is still there", old.event);
        ensure!(world.store.delivery(&acme, old.id).await?.is_none(), "{} is still there", old.id);
    }
    let ids: Vec<_> = old.iter().map(|delivery| delivery.id).collect();
    ensure!(world.store.positions(&ids).await?.is_empty(), "positions of what was removed");
    world.stand(&kept).await?;
    for kept in &kept {
        ensure!(world.store.event(&acme, kept.event).await?.is_some(), "{} is gone", kept.event);
        let found = world.store.delivery(&acme, kept.id).await?;
        ensure!(found.is_some_and(|(_, attempts)| attempts.len() == 1), "{} lost its attempt", kept.id);
    }
    ensure!(prune(world, before, world.now()).await? == 0, "something is removed twice");
    // A day that was removed comes back with an event that arrives late (rule 27).
    let late = world.delivery_at(&endpoint, old[0].id.created_at()).await?;
    world.stand(&[late]).await
}

/// A key that is used up is gone; one that is not keeps its event.
pub async fn prune_removes_used_up_keys(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let claims = [(1, DAY), (2, DAY * 2)].map(|(key, ttl)| Claim {
        tenant: acme.clone(),
        key_hash: [key; 32],
        content_hash: [7; 32],
        event: world.event(&acme, "order.created").id,
        expires_at: now + ttl,
    });
    world.store.claim(&claims, now).await?;
    prune(world, midnight(now, 30), now + DAY + Duration::from_mins(1)).await?;
    // Asked as of then: both would be known if they were still there.
    let claimed = world.store.claim(&claims, now).await?;
    ensure!(claimed == [Claimed::Fresh, Claimed::Repeat(claims[1].event)], "{claimed:?}");
    Ok(())
}

/// What ended before the time; what goes on stays, and what ended later.
pub async fn prune_removes_ended_replays(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut replays = Vec::new();
    for _ in 0..3 {
        replays.push(world.start(&endpoint, ReplayKind::Replay, ReplayFilter::default()).await?);
    }
    let before = midnight(world.now(), 0) + DAY * 2;
    let now = before + DAY * 30;
    for (replay, at) in [(&replays[0], before.before(DAY)), (&replays[1], before + DAY)] {
        world.store.cancel_replay(&acme, replay.id, at).await?;
    }
    prune(world, before, now).await?;
    let mut left = Vec::new();
    for replay in &replays {
        left.push(world.store.replay(&acme, replay.id).await?.is_some());
    }
    ensure!(left == [false, true, true], "{left:?} are left");
    Ok(())
}

/// Older than a year, however long events are kept.
pub async fn prune_removes_audit_entries_after_a_year(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let [old, young] = [367, 364].map(|days| entry(world, now.before(DAY * days), Some(&acme)));
    for entry in [&old, &young] {
        world.store.record(entry).await?;
    }
    prune(world, midnight(now, 30), now).await?;
    let left: Vec<AuditEntry> = world.store.audit(None, Page { after: None, limit: 9 }).await?;
    ensure!(left == [young], "{left:?}");
    Ok(())
}

/// Each tenant's own, of one UTC day; counted again, it is what it is then.
pub async fn usage_is_counted_by_tenant_and_day(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let other = world.endpoint(&globex).await?;
    let day = midnight(world.now(), 3);
    let last = (day + DAY).before(Duration::from_millis(1));
    let two = [endpoint.id, world.endpoint(&acme).await?.id];
    let fanout = world.fanout(world.event_at(&acme, "order.created", day), &two);
    world.accept(&fanout).await?;
    world.accept(&world.fanout(world.event_at(&acme, "order.lost", last), &[])).await?;
    world.delivery_at(&endpoint, day + DAY).await?;
    let theirs = world.retry_later(&world.delivery_at(&other, last).await?).await?;
    world.succeed(&theirs).await?;

    let row = |tenant, events, deliveries, attempts| UsageRow { tenant, day, events, deliveries, attempts };
    for attempts in [0, 0, 1] {
        if attempts == 1 {
            world.succeed(&fanout.deliveries[0]).await?;
        }
        world.store.count_usage(day + Duration::from_hours(13)).await?;
        let usage = world.store.usage(&acme, day, day + DAY).await?;
        ensure!(usage == [row(acme.clone(), 2, 2, attempts)], "{usage:?} with {attempts} attempts");
    }
    let usage = world.store.usage(&globex, day, day + DAY).await?;
    ensure!(usage == [row(globex.clone(), 1, 1, 2)], "{usage:?}");
    Ok(())
}

/// From one day (inclusive) until another (exclusive).
pub async fn usage_comes_oldest_first(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let days = [3, 2, 1].map(|ago| midnight(world.now(), ago));
    for day in days {
        world.delivery_at(&endpoint, day + DAY / 2).await?;
    }
    for place in [1, 2, 0] {
        world.store.count_usage(days[place]).await?;
    }
    let cases = [(days[0], days[2] + DAY, &days[..]), (days[0], days[2], &days[..2]), (days[1], days[2], &days[1..2])];
    for (since, until, expected) in cases {
        let usage = world.store.usage(&acme, since, until).await?;
        let found: Vec<_> = usage.iter().map(|row| row.day).collect();
        ensure!(found == expected, "{found:?} instead of {expected:?}");
        ensure!(usage.iter().all(|row| row.events == 1 && row.tenant == acme), "{usage:?}");
    }
    Ok(())
}

/// Those of every tenant; a deleted one is counted no more.
pub async fn endpoints_are_counted_by_status(world: &World) -> Checked {
    ensure!(world.store.count_endpoints().await? == EndpointCounts::default(), "an empty store has endpoints");
    let (acme, suspended) = world.acme().await?;
    let bits = world.tenant("bits").await?;
    let [disabled, deleted] = [world.endpoint(&acme).await?, world.endpoint(&bits).await?];
    for tenant in [&acme, &bits, &bits] {
        world.endpoint(tenant).await?;
    }
    world.suspend(&suspended).await?;
    world.set_status(&disabled, EndpointStatus::Disabled).await?;
    let counted = world.store.count_endpoints().await?;
    ensure!(counted == EndpointCounts { active: 4, suspended: 1, disabled: 1 }, "{counted:?}");
    world.store.delete_endpoint(&bits, deleted.id).await?;
    world.set_status(&disabled, EndpointStatus::Active).await?;
    let counted = world.store.count_endpoints().await?;
    ensure!(counted == EndpointCounts { active: 4, suspended: 1, disabled: 0 }, "{counted:?}");
    Ok(())
}
