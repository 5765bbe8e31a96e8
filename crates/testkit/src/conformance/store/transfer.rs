//! `Transfer`: the log and the idempotency keys, out and in again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState, WaitReason};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::port::{Claim, Claimed, Lane, LoggedDelivery, LoggedEvent, Page, StoredKey};
use whimbrel_core::{EventId, TenantId, Timestamp};

use super::ledger::BASE;
use super::upkeep::{midnight, prune};
use super::world::sorted;
use super::{Checked, World};

const DAY: Duration = Duration::from_hours(24);
const ALL: Page<EventId> = Page { after: None, limit: 1_000 };

/// What the log shows of an event.
async fn shown(world: &World, event: &Event) -> anyhow::Result<LoggedEvent> {
    let event =
        world.store.event(&event.tenant, event.id).await?.with_context(|| format!("{} is unknown", event.id))?;
    let mut deliveries = Vec::new();
    for row in world.store.deliveries_of_event(&event.tenant, event.id).await? {
        let (row, attempts) = world.store.delivery(&event.tenant, row.delivery.id).await?.context("it was listed")?;
        deliveries.push(LoggedDelivery { row, attempts });
    }
    Ok(LoggedEvent { event, deliveries })
}

/// Five events of two tenants from `at` on, a minute apart: with none, one and two deliveries, in every state, with
/// and without attempts.
async fn log(world: &World, at: Timestamp) -> anyhow::Result<(Vec<Endpoint>, Vec<LoggedEvent>)> {
    let (acme, one) = world.acme().await?;
    let two = world.endpoint(&acme).await?;
    let other = world.endpoint(&world.tenant("globex").await?).await?;
    let sets = [vec![&one, &two], vec![&other], vec![], vec![&one, &two], vec![&two]];
    let mut events = Vec::new();
    for (place, set) in (0..).zip(&sets) {
        let tenant = set.first().map_or(&acme, |endpoint| &endpoint.tenant);
        let mut event = world.event_at(tenant, "order.created", at + Duration::from_mins(1) * place);
        event.trace = TraceContext { traceparent: format!("00-0{place}-02-01"), tracestate: "vendor=1".to_owned() };
        event.only_endpoint = (set.len() == 1).then(|| set[0].id);
        let ids: Vec<_> = set.iter().map(|endpoint| endpoint.id).collect();
        let fanout = world.fanout(event, &ids);
        world.accept(&fanout).await?;
        events.push(fanout);
    }
    world.succeed(&world.retry_later(&events[0].deliveries[0]).await?).await?;
    world.retry_later(&events[0].deliveries[1]).await?;
    world.fail(&events[1].deliveries[0]).await?;
    let deferred = DeliveryState::Waiting(WaitReason::Deferred);
    world.put(Delivery { state: deferred, round: 3, first_attempt: 4, attempt: 6, ..events[3].deliveries[0] }).await?;
    world.put(Delivery { state: DeliveryState::Held, ..events[3].deliveries[1] }).await?;
    let mut logged = Vec::new();
    for fanout in &events {
        logged.push(shown(world, &fanout.event).await?);
    }
    Ok((vec![one, two, other], logged))
}

/// Every tenant's, each with all that the log shows of it.
pub async fn the_log_comes_in_pages_by_event(world: &World) -> Checked {
    let (_, logged) = log(world, world.now()).await?;
    let mut after = None;
    for expected in [&logged[..2], &logged[2..4], &logged[4..], &[]] {
        let page = world.store.log_page(Page { after, limit: 2 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|logged| logged.event.id);
    }
    Ok(())
}

/// Not even when the sweep looks; what has changed since it was read stays as it is now.
pub async fn loading_what_is_there_changes_nothing(world: &World) -> Checked {
    let (_, logged) = log(world, world.now()).await?;
    let pending = logged[4].deliveries[0].row.delivery;
    let succeeded = world.succeed(&pending).await?;
    let now = world.now();
    for _ in 0..2 {
        let new = world.store.load_log(&logged, now).await?;
        ensure!(new == 0, "{new} events were new");
    }
    world.stand(&[succeeded]).await?;
    let stored = world.store.log_page(ALL).await?;
    ensure!(stored[..4] == logged[..4], "{stored:?} instead of {logged:?}");
    ensure!(stored.len() == 5 && stored[4] == shown(world, &logged[4].event).await?, "{stored:?}");
    for lane in Lane::ALL {
        let swept = world.store.overdue(lane, now, now, BASE, 10).await?;
        ensure!(swept.is_empty(), "{swept:?} are swept");
    }
    ensure!(world.store.load_log(&[], now).await? == 0, "nothing was new");
    Ok(())
}

/// Value by value, also when some of it is there already; the sweep publishes the jobs that stayed behind, and what
/// is held or waits goes on from where it was.
pub async fn a_log_that_is_gone_comes_back_whole(world: &World) -> Checked {
    let before = midnight(world.now(), 30);
    let (endpoints, logged) = log(world, before.before(DAY * 2)).await?;
    let young = world.fail(&world.delivery(&endpoints[0]).await?).await?;
    let all = world.store.log_page(ALL).await?;
    ensure!(all[..5] == logged[..] && all[5].event.id == young.event, "{all:?}");
    prune(world, before, world.now()).await?;
    ensure!(world.store.log_page(ALL).await?.len() == 1, "it is not gone");

    let sweep_at = world.now() + Duration::from_mins(7);
    let new = world.store.load_log(&all, sweep_at).await?;
    ensure!(new == 5, "{new} events were new");
    let stored = world.store.log_page(ALL).await?;
    ensure!(stored == all, "{stored:?} instead of {all:?}");
    for logged in &all {
        ensure!(shown(world, &logged.event).await? == *logged, "the log shows another {}", logged.event.id);
    }

    let early = sweep_at.before(Duration::from_micros(1));
    let (mut pending, mut retrying) = (Vec::new(), Vec::new());
    for delivery in all.iter().flat_map(|logged| &logged.deliveries).map(|logged| logged.row.delivery) {
        match delivery.state {
            DeliveryState::Pending => pending.push(delivery),
            DeliveryState::Retrying { .. } => retrying.push(delivery),
            _ => {}
        }
    }
    for (lane, expected) in [(Lane::Live, pending), (Lane::Slow, retrying), (Lane::Bulk, Vec::new())] {
        let swept = world.store.overdue(lane, early, early, BASE, 10).await?;
        ensure!(swept.is_empty(), "{swept:?} are swept too early");
        let swept = sorted(world.store.overdue(lane, sweep_at, sweep_at, BASE, 10).await?);
        ensure!(swept == sorted(expected.clone()), "{swept:?} instead of {expected:?} in the lane {lane}");
    }
    let found = world.store.forgotten(10).await?;
    ensure!(found.len() == 2, "held and deferred ones are found as {found:?}");
    Ok(())
}

/// Published before, it would only wait in a tier, and hold up the sweep of its lane.
pub async fn a_loaded_retry_is_swept_when_it_is_due(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let event = world.event(&acme, "order.created");
    let (now, due) = (world.now(), world.now() + Duration::from_mins(5));
    let state = DeliveryState::Retrying { at: due };
    let delivery = Delivery { attempt: 2, ..Delivery::new(event.id, endpoint.id, state) };
    let row = DeliveryRow {
        delivery,
        tenant: acme,
        event_type: event.event_type.clone(),
        attempts: 1,
        status_code: Some(500),
        error: Some("status: 500".to_owned()),
    };
    let deliveries = vec![LoggedDelivery { row, attempts: Vec::new() }];
    world.store.load_log(&[LoggedEvent { event, deliveries }], now).await?;
    let early = due.before(Duration::from_micros(1));
    let swept = world.store.overdue(Lane::Slow, early, early, BASE, 10).await?;
    ensure!(swept.is_empty(), "{swept:?} are swept too early");
    let swept = world.store.overdue(Lane::Slow, due, due, BASE, 10).await?;
    ensure!(swept == [delivery], "{swept:?} instead of {delivery:?}");
    Ok(())
}

fn claims(world: &World, tenants: &[&TenantId], expires_at: Timestamp) -> Vec<Claim> {
    let claim = |tenant: &TenantId, key| Claim {
        tenant: tenant.clone(),
        key_hash: [key; 32],
        content_hash: [key + 100; 32],
        event: world.event(tenant, "order.created").id,
        expires_at,
    };
    tenants.iter().flat_map(|tenant| [9, 2, 5].map(|key| claim(tenant, key))).collect()
}

fn stored(claims: &[Claim]) -> Vec<StoredKey> {
    let stored = |claim: &Claim| StoredKey {
        tenant: claim.tenant.clone(),
        key_hash: claim.key_hash,
        content_hash: claim.content_hash,
        event: claim.event,
        expires_at: claim.expires_at,
    };
    let mut keys: Vec<_> = claims.iter().map(stored).collect();
    keys.sort_by(|one, other| (&one.tenant, one.key_hash).cmp(&(&other.tenant, other.key_hash)));
    keys
}

/// Every tenant's, but for those that have expired by the store's own clock.
pub async fn rule_06_keys_come_in_pages_by_tenant_and_hash(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let now = world.store.ping().await?;
    let fresh = claims(world, &[&globex, &acme], now + DAY);
    world.store.claim(&fresh, now).await?;
    let mut used_up = claims(world, &[&acme], now.before(DAY));
    for claim in &mut used_up {
        claim.key_hash[0] += 1;
    }
    world.store.claim(&used_up, now.before(DAY * 2)).await?;
    let expected = stored(&fresh);
    let mut after = None;
    for expected in [&expected[..4], &expected[4..], &[]] {
        let page = world.store.keys_page(Page { after, limit: 4 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|key| (key.tenant.clone(), key.key_hash));
    }
    Ok(())
}

/// What was claimed is a repeat or a conflict as before, with the key's own expiry; a key that is there stays its
/// event's.
pub async fn rule_06_loaded_keys_are_claimed_still(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.store.ping().await?;
    let claims = claims(world, &[&acme], now + DAY);
    world.store.claim(&claims, now).await?;
    let keys = world.store.keys_page(Page { after: None, limit: 10 }).await?;
    prune(world, now.before(DAY * 400), now + DAY * 2).await?;
    ensure!(world.store.keys_page(Page { after: None, limit: 10 }).await?.is_empty(), "they are not gone");
    world.store.load_keys(&keys).await?;
    let theirs = |key: &StoredKey| StoredKey { event: world.event(&acme, "order.paid").id, ..key.clone() };
    world.store.load_keys(&keys.iter().map(theirs).collect::<Vec<_>>()).await?;
    let loaded = world.store.keys_page(Page { after: None, limit: 10 }).await?;
    ensure!(loaded == keys, "{loaded:?} instead of {keys:?}");

    let other = Claim { content_hash: [1; 32], ..claims[1].clone() };
    let claimed = world.store.claim(&[claims[0].clone(), other], now).await?;
    ensure!(claimed == [Claimed::Repeat(claims[0].event), Claimed::Conflict], "{claimed:?}");
    let claimed = world.store.claim(&claims, now + DAY).await?;
    ensure!(claimed == [Claimed::Fresh; 3], "{claimed:?} at their expiry");
    world.store.load_keys(&[]).await?;
    Ok(())
}
