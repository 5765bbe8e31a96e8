//! `Log::erase_event` and `Tenants::erase_tenant`: payloads go, the rows stay.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::event::Event;
use whimbrel_core::port::Retried;
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{TenantId, Timestamp};

use super::{Checked, World};

async fn event(world: &World, tenant: &TenantId, delivery: &Delivery) -> anyhow::Result<Event> {
    world.store.event(tenant, delivery.event).await?.with_context(|| format!("{} is not in the log", delivery.event))
}

/// Nothing is left of what was sent and answered; everything else reads as before.
async fn erased(world: &World, before: &Event, now: &Event) -> Checked {
    ensure!(now.body.is_empty(), "the body is still {:?}", now.body);
    ensure!(now.body.get(now.data_range.clone()).is_some(), "the data lies beyond the body: {:?}", now.data_range);
    let expected = Event { body: Bytes::new(), data_range: now.data_range.clone(), ..before.clone() };
    ensure!(*now == expected, "{now:?} instead of {expected:?}");
    for row in world.store.deliveries_of_event(&before.tenant, before.id).await? {
        let (_, attempts) = world.logged(&before.tenant, &row.delivery).await?;
        ensure!(attempts.iter().all(|attempt| attempt.response_body.is_empty()), "an answer is left: {attempts:?}");
    }
    Ok(())
}

/// Its deliveries that are not at their end are cancelled, the others keep their end and their attempts. Asked again,
/// it is no error.
pub async fn an_erased_event_keeps_its_rows(world: &World) -> Checked {
    let (acme, _) = world.acme().await?;
    let at = world.now();
    let states = [
        DeliveryState::Pending,
        DeliveryState::Retrying { at },
        DeliveryState::Waiting(WaitReason::Manual),
        DeliveryState::Waiting(WaitReason::Deferred),
        DeliveryState::Held,
        DeliveryState::Succeeded { at },
    ];
    let endpoints: Vec<_> = (0..states.len()).map(|_| world.new_endpoint(&acme).id).collect();
    let fanout = world.fanout(world.event(&acme, "order.created"), &endpoints);
    world.accept(&fanout).await?;
    let mut expected = Vec::new();
    for (delivery, state) in fanout.deliveries.iter().zip(states) {
        world.succeed(delivery).await?;
        world.put(Delivery { state, ..*delivery }).await?;
        let (mut row, mut attempts) = world.logged(&acme, delivery).await?;
        ensure!(attempts.iter().all(|attempt| !attempt.response_body.is_empty()), "nothing to erase: {attempts:?}");
        row.delivery.state = if state.is_final() { state } else { DeliveryState::Cancelled };
        for attempt in &mut attempts {
            attempt.response_body = Bytes::new();
        }
        expected.push((row, attempts));
    }
    let before = event(world, &acme, &fanout.deliveries[0]).await?;
    for _ in 0..2 {
        ensure!(world.store.erase_event(&acme, before.id).await?, "a known event was unknown");
        erased(world, &before, &event(world, &acme, &fanout.deliveries[0]).await?).await?;
        for (delivery, expected) in fanout.deliveries.iter().zip(&expected) {
            let found = world.logged(&acme, delivery).await?;
            ensure!(found == *expected, "{found:?} instead of {expected:?}");
        }
    }
    Ok(())
}

/// There is nothing to send again.
pub async fn an_erased_event_is_not_retried(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let over = [world.delivery(&endpoint).await?, world.delivery(&endpoint).await?];
    let over = [world.fail(&over[0]).await?, world.succeed(&over[1]).await?];
    for delivery in over {
        world.store.erase_event(&acme, delivery.event).await?;
        let retried = world.store.retry(&acme, delivery.id).await?;
        ensure!(retried == Some(Retried::Not(delivery)), "{retried:?}");
        let replayed = world.store.replay_event(&acme, endpoint.id, delivery.event).await?;
        ensure!(replayed == Some(Retried::Not(delivery)), "{replayed:?}");
        world.stand(&[delivery]).await?;
    }
    Ok(())
}

/// Nor is an unknown event erased.
pub async fn a_tenant_never_erases_a_foreign_event(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let delivery = world.delivery(&endpoint).await?;
    let before = event(world, &acme, &delivery).await?;
    ensure!(!world.store.erase_event(&globex, before.id).await?, "it was erased");
    ensure!(!world.store.erase_event(&acme, world.event(&acme, "order.lost").id).await?, "an unknown one was erased");
    ensure!(event(world, &acme, &delivery).await? == before, "it changed");
    world.stand(&[delivery]).await
}

/// Takes steps until there is nothing to do, and says how many events were erased.
async fn erase_all(world: &World, limit: u32) -> anyhow::Result<u64> {
    let mut erased = 0;
    for _ in 0..20 {
        let step = world.store.erase_step(limit).await?;
        ensure!(step <= u64::from(limit), "{step} events were erased where {limit} were asked for");
        if step == 0 {
            return Ok(erased);
        }
        erased += step;
    }
    bail!("there is more to erase after 20 steps")
}

async fn erasing(world: &World, tenant: &TenantId) -> anyhow::Result<Option<Timestamp>> {
    Ok(world.store.tenant(tenant).await?.context("the tenant is unknown")?.erasing_before)
}

/// All events accepted before the time, some at a step; then the tenant is done. Other tenants are left alone.
pub async fn a_tenants_payloads_are_erased_step_by_step(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&world.tenant("globex").await?).await?;
    ensure!(world.store.erase_step(10).await? == 0, "there was something to erase");
    let mut old = Vec::new();
    for ago in [50, 2, 1, 0, 0] {
        let at = world.now().before(Duration::from_hours(24) * ago);
        old.push(world.delivery_at(&endpoint, at).await?);
    }
    old[4] = world.fail(&old[4]).await?;
    let theirs = world.delivery(&other).await?;
    let before = world.now();
    let young = world.delivery_at(&endpoint, before).await?;
    let mut events = Vec::new();
    for delivery in &old {
        events.push(event(world, &acme, delivery).await?);
    }
    ensure!(world.store.erase_tenant(&acme, before).await?, "a known tenant was unknown");
    ensure!(erasing(world, &acme).await? == Some(before), "{:?} is asked for", erasing(world, &acme).await?);
    ensure!(erase_all(world, 2).await? == 5, "not five events were erased");
    ensure!(erasing(world, &acme).await?.is_none(), "it is still under way");

    for (place, (old, before)) in old.iter().zip(&events).enumerate() {
        erased(world, before, &event(world, &acme, old).await?).await?;
        let expected = if place == 4 { old.state } else { DeliveryState::Cancelled };
        world.stand(&[Delivery { state: expected, ..*old }]).await?;
    }
    world.stand(&[young, theirs]).await?;
    ensure!(!event(world, &acme, &young).await?.body.is_empty(), "a later event was erased");
    ensure!(!event(world, &other.tenant, &theirs).await?.body.is_empty(), "another tenant's event was erased");
    let stranger = super::world::tenant_id("nobody");
    ensure!(!world.store.erase_tenant(&stranger, before).await?, "an unknown tenant was known");
    Ok(())
}

/// The later time counts, whichever was asked for last, also when half of the work is done; and an update of the
/// tenant does not take it back.
pub async fn the_later_of_two_requests_to_erase_counts(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(world.delivery(&endpoint).await?);
    }
    let [early, late] = [2, 3].map(|place: usize| all[place].id.created_at());
    for (asked, expected) in [(early, early), (late, late), (early, late)] {
        ensure!(world.store.erase_tenant(&acme, asked).await?, "a known tenant was unknown");
        let erasing = erasing(world, &acme).await?;
        ensure!(erasing == Some(expected), "{erasing:?} instead of {expected}");
        world.store.erase_step(1).await?;
    }
    world.store.update_tenant(&Tenant { name: Some("Acme".to_owned()), ..world.new_tenant("acme") }).await?;
    erase_all(world, 10).await?;
    let mut left = Vec::new();
    for delivery in &all {
        left.push(!event(world, &acme, delivery).await?.body.is_empty());
    }
    ensure!(left == [false, false, false, true], "{left:?} have their payload");
    Ok(())
}
