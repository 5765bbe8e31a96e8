//! `Intake`: what ingest needs.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::endpoint::{EndpointStatus, Subscriber};
use whimbrel_core::port::{Claim, Claimed, Clock as _, EndpointChange, Subscriptions};
use whimbrel_core::{EventId, TenantId, Timestamp};

use super::world::{contract, sorted, tenant_id};
use super::{Checked, World};

/// Unknown ids are left out; a head carries contract and version.
pub async fn tenant_heads_are_those_that_exist(world: &World) -> Checked {
    let (acme, _) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let mut heads = world.store.tenant_heads(&[globex.clone(), tenant_id("nobody"), acme.clone()]).await?;
    heads.sort_by(|one, other| one.id.cmp(&other.id));
    let ids: Vec<_> = heads.iter().map(|head| &head.id).collect();
    ensure!(ids == [&acme, &globex], "{ids:?} are the heads");
    ensure!(heads.iter().all(|head| head.contract == contract("standard")), "{heads:?}");
    ensure!(
        heads[0].endpoints_version > heads[1].endpoints_version,
        "an endpoint did not raise the version: {heads:?}"
    );
    ensure!(world.store.tenant_heads(&[]).await?.is_empty(), "heads of nobody");
    Ok(())
}

/// The tenant's own endpoints, whatever their status, at the version its head shows; none of a stranger.
pub async fn subscriptions_come_with_their_version(world: &World) -> Checked {
    let (acme, active) = world.acme().await?;
    let disabled = world.endpoint(&acme).await?;
    let change = EndpointChange { status: Some((EndpointStatus::Disabled, world.now())), ..EndpointChange::default() };
    world.store.update_endpoint(&acme, disabled.id, &change).await?;
    let globex = world.tenant("globex").await?;
    world.endpoint(&globex).await?;

    let Subscriptions { version, mut subscribers, schemas } = world.store.subscriptions(&acme).await?;
    subscribers.sort_by_key(|subscriber| subscriber.id);
    let expected = [&active, &disabled].map(|endpoint| Subscriber {
        id: endpoint.id,
        events: endpoint.events.clone(),
        status: if endpoint.id == disabled.id { EndpointStatus::Disabled } else { EndpointStatus::Active },
        version: if endpoint.id == disabled.id { endpoint.version + 1 } else { endpoint.version },
        filter: None,
    });
    ensure!(subscribers == expected, "{subscribers:?} instead of {expected:?}");
    ensure!(version == world.endpoints_version(&acme).await?, "version {version} is not the head's");
    ensure!(schemas.is_empty(), "schemas that nobody gave: {schemas:?}");
    let nobodys = world.store.subscriptions(&tenant_id("nobody")).await?;
    ensure!(nobodys == Subscriptions::default(), "an unknown tenant has {nobodys:?}");
    Ok(())
}

fn claim(world: &World, tenant: &TenantId, key: u8, content: u8, now: Timestamp) -> Claim {
    let event = EventId::generate(world.now(), world.clock.random10());
    let expires_at = now + Duration::from_hours(168);
    Claim { tenant: tenant.clone(), key_hash: [key; 32], content_hash: [content; 32], event, expires_at }
}

/// Same content: a repeat of the first event. Other content: a conflict, and the key stays as it was.
pub async fn a_claim_is_fresh_then_a_repeat_or_a_conflict(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let [first, again, other, third] = [7, 7, 8, 7].map(|content| claim(world, &acme, 1, content, now));
    let expected = [Claimed::Fresh, Claimed::Repeat(first.event), Claimed::Conflict, Claimed::Repeat(first.event)];
    for (claim, expected) in [first, again, other, third].into_iter().zip(expected) {
        let claimed = world.store.claim(&[claim], now).await?;
        ensure!(claimed == [expected], "{claimed:?} instead of {expected:?}");
    }
    ensure!(world.store.claim(&[], now).await?.is_empty(), "an answer to no claim");
    Ok(())
}

/// Another tenant's key of the same text is another key.
pub async fn rule_06_keys_are_a_tenants_own(world: &World) -> Checked {
    let now = world.now();
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let claims = [claim(world, &acme, 1, 7, now), claim(world, &globex, 1, 8, now)];
    let claimed = world.store.claim(&claims, now).await?;
    ensure!(claimed == [Claimed::Fresh, Claimed::Fresh], "{claimed:?}");
    Ok(())
}

/// From its expiry on, whatever the content; then it is the new event's.
pub async fn an_expired_key_is_free(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let old = claim(world, &acme, 1, 7, now);
    world.store.claim(std::slice::from_ref(&old), now).await?;

    let just_before = Timestamp::from_micros(old.expires_at.as_micros() - 1);
    let repeated = world.store.claim(&[claim(world, &acme, 1, 7, just_before)], just_before).await?;
    ensure!(repeated == [Claimed::Repeat(old.event)], "{repeated:?} before the expiry");
    let new = claim(world, &acme, 1, 8, old.expires_at);
    let claimed = world.store.claim(std::slice::from_ref(&new), old.expires_at).await?;
    ensure!(claimed == [Claimed::Fresh], "{claimed:?} at the expiry");
    let again = world.store.claim(&[claim(world, &acme, 1, 8, old.expires_at)], old.expires_at).await?;
    ensure!(again == [Claimed::Repeat(new.event)], "{again:?} after the expiry");
    Ok(())
}

/// The answers come in the order of the claims; within a batch, earlier claims come first.
pub async fn a_key_twice_in_a_batch_is_fresh_the_first_time(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let stored = claim(world, &acme, 9, 7, now);
    world.store.claim(std::slice::from_ref(&stored), now).await?;

    let batch =
        [(5, 7), (1, 7), (5, 7), (9, 8), (5, 8), (9, 7)].map(|(key, content)| claim(world, &acme, key, content, now));
    let claimed = world.store.claim(&batch, now).await?;
    let expected = [
        Claimed::Fresh,
        Claimed::Fresh,
        Claimed::Repeat(batch[0].event),
        Claimed::Conflict,
        Claimed::Conflict,
        Claimed::Repeat(stored.event),
    ];
    ensure!(claimed == expected, "{claimed:?} instead of {expected:?}");
    Ok(())
}

/// Many claimers of one key at once, with overlapping batches in opposite orders: one is fresh, and all the
/// others repeat that one's event.
pub async fn two_claimers_of_a_key_agree(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let now = world.now();
    let batches: Vec<Vec<Claim>> = (0..8)
        .map(|number| {
            let mut keys = [1, 2, 3];
            if number % 2 == 1 {
                keys.reverse();
            }
            keys.map(|key| claim(world, &acme, key, 7, now)).into()
        })
        .collect();
    let answers = try_join_all(batches.iter().map(|batch| world.store.claim(batch, now))).await?;

    let pairs: Vec<_> = batches.iter().flatten().zip(answers.iter().flatten()).collect();
    for key in [1, 2, 3] {
        let of_key: Vec<_> = pairs.iter().filter(|(claim, _)| claim.key_hash == [key; 32]).collect();
        let fresh: Vec<_> = of_key.iter().filter(|(_, claimed)| **claimed == Claimed::Fresh).collect();
        ensure!(fresh.len() == 1, "key {key} was fresh {} times", fresh.len());
        let owner = fresh[0].0.event;
        let repeats = of_key.iter().filter(|(_, claimed)| **claimed == Claimed::Repeat(owner)).count();
        ensure!(repeats == 7, "key {key} was repeated {repeats} times: {of_key:?}");
    }
    Ok(())
}

/// Hundreds of deliveries of one event: pending ones are answered, held ones are only stored.
pub async fn accept_stores_a_fanout_of_many(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let endpoints: Vec<_> = (0..300).map(|_| world.new_endpoint(&acme).id).chain([endpoint.id]).collect();
    let mut fanout = world.fanout(world.event(&acme, "order.created"), &endpoints);
    for held in &mut fanout.deliveries[..20] {
        held.state = DeliveryState::Held;
    }
    let accepted = world.accept(&fanout).await?;
    ensure!(!accepted.repeated, "a new event was repeated");
    let pending: Vec<Delivery> = fanout.deliveries[20..].to_vec();
    ensure!(sorted(accepted.pending) == sorted(pending), "other deliveries are pending than those given");
    let ids: Vec<_> = fanout.deliveries.iter().map(|delivery| delivery.id).collect();
    let stored = world.store.positions(&ids).await?;
    ensure!(sorted(stored) == sorted(fanout.deliveries), "other deliveries are stored than those given");
    Ok(())
}

/// One answer per event, in order; an event that nobody wants is stored too.
pub async fn accept_answers_in_order(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let known = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]);
    world.accept(&known).await?;
    let unwanted = world.fanout(world.event(&acme, "order.lost"), &[]);
    let new = world.fanout(world.event(&acme, "order.paid"), &[endpoint.id]);

    let accepted = world.store.accept(&[new.clone(), known.clone(), unwanted.clone()]).await?;
    let repeated: Vec<_> = accepted.iter().map(|answer| answer.repeated).collect();
    ensure!(repeated == [false, true, false], "repeated: {repeated:?}");
    ensure!(accepted[0].pending == new.deliveries, "{:?}", accepted[0].pending);
    ensure!(accepted[1].pending == known.deliveries, "{:?}", accepted[1].pending);
    ensure!(accepted[2].pending.is_empty(), "{:?}", accepted[2].pending);
    ensure!(world.store.event(&acme, unwanted.event.id).await?.as_ref() == Some(&unwanted.event), "it was not stored");
    ensure!(world.store.accept(&[]).await?.is_empty(), "an answer to no event");
    Ok(())
}

/// The second fan-out may differ, since endpoints came and went: the first one stands, and only what is still
/// pending of it is to be published.
pub async fn rule_21_a_repeated_event_keeps_its_deliveries(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let (two, late) = (world.endpoint(&acme).await?, world.endpoint(&acme).await?);
    let event = world.event(&acme, "order.created");
    let first = world.fanout(event.clone(), &[one.id, two.id]);
    world.accept(&first).await?;
    let succeeded = Delivery { state: DeliveryState::Succeeded { at: world.now() }, ..first.deliveries[0] };
    world.put(succeeded).await?;

    let other_body = whimbrel_core::event::Event { body: "{}".into(), data_range: 0..2, ..event.clone() };
    let accepted = world.accept(&world.fanout(other_body, &[late.id])).await?;
    ensure!(accepted.repeated, "it was not repeated");
    ensure!(accepted.pending == [first.deliveries[1]], "{:?} is to be published", accepted.pending);
    let rows = world.store.deliveries_of_event(&acme, event.id).await?;
    let stored = rows.iter().map(|row| row.delivery).collect();
    ensure!(sorted(stored) == sorted(vec![succeeded, first.deliveries[1]]), "the set changed: {rows:?}");
    ensure!(world.store.event(&acme, event.id).await? == Some(event), "the event changed");
    Ok(())
}

/// What the tracker has published since, under a later attempt, is not the intake's to publish.
pub async fn a_repeated_event_gives_first_attempts_only(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let fanout = world.fanout(world.event(&acme, "order.created"), &[endpoint.id, other.id]);
    world.accept(&fanout).await?;
    let waiting = DeliveryState::Waiting(WaitReason::Manual);
    world.put(Delivery { state: waiting, round: 2, first_attempt: 3, attempt: 3, ..fanout.deliveries[0] }).await?;
    ensure!(world.store.take_waiting(world.now(), 10).await?.len() == 1, "it did not wait");
    let accepted = world.accept(&fanout).await?;
    ensure!(accepted.pending == [fanout.deliveries[1]], "{:?} is to be published", accepted.pending);
    Ok(())
}

/// The first is stored, the second repeats it; both say what is pending.
pub async fn an_event_twice_in_a_batch_is_repeated_the_second_time(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let fanout = world.fanout(world.event(&acme, "order.created"), &[endpoint.id]);
    let accepted = world.store.accept(&[fanout.clone(), fanout.clone()]).await?;
    let repeated: Vec<_> = accepted.iter().map(|answer| answer.repeated).collect();
    ensure!(repeated == [false, true], "repeated: {repeated:?}");
    ensure!(accepted.iter().all(|answer| answer.pending == fanout.deliveries), "{accepted:?}");
    Ok(())
}

/// A batch may be larger than a statement of the engine's: a repeat changes nothing for those before and behind it.
pub async fn a_repeated_event_stands_alone_in_a_large_batch(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut batch = Vec::new();
    for _ in 0..300 {
        batch.push(world.fanout(world.event(&acme, "order.created"), &[endpoint.id]));
    }
    for known in [40, 250] {
        world.accept(&batch[known]).await?;
    }
    let accepted = world.store.accept(&batch).await?;
    let repeated = accepted.iter().enumerate().filter(|(_, answer)| answer.repeated).map(|(place, _)| place);
    let repeated: Vec<usize> = repeated.collect();
    ensure!(repeated == [40, 250], "repeated: {repeated:?}");
    for (fanout, answer) in batch.iter().zip(&accepted) {
        ensure!(answer.pending == fanout.deliveries, "{:?} of {:?}", answer.pending, fanout.deliveries);
    }
    let deliveries: Vec<_> = batch.iter().map(|fanout| fanout.deliveries[0].id).collect();
    ensure!(world.store.positions(&deliveries).await?.len() == batch.len(), "not every delivery is stored");
    Ok(())
}

/// One of two tenants has changed: nothing of the batch is stored, whether its events are new or not, and however the
/// engine inserts them.
pub async fn a_batch_is_stored_as_of_its_tenants_versions(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let stored = world.fanout(world.event(&acme, "order.created"), &[one.id]);
    let mut batch = vec![stored.clone()];
    batch.extend((0..200).map(|_| world.fanout(world.event(&acme, "order.created"), &[one.id])));
    let versions = [
        (acme.clone(), world.endpoints_version(&acme).await?),
        (globex.clone(), world.endpoints_version(&globex).await? + 1),
    ];
    let outdated = async |versions: &[_], batch: &[_]| -> Checked {
        let accepted = world.store.accept_as_of(versions, batch).await?;
        ensure!(accepted.is_none(), "{accepted:?} as of {versions:?}");
        Ok(())
    };
    outdated(&versions, &batch).await?;
    outdated(&[versions[0].clone(), (tenant_id("nobody"), 1)], &batch).await?;
    ensure!(world.store.event(&acme, stored.event.id).await?.is_none(), "an event is stored");
    ensure!(world.store.deliveries_of_event(&acme, stored.event.id).await?.is_empty(), "a delivery is stored");

    let versions = [versions[0].clone(), (globex.clone(), world.endpoints_version(&globex).await?)];
    let accepted = world.store.accept_as_of(&versions, &batch[..1]).await?;
    ensure!(accepted.is_some_and(|accepted| !accepted[0].repeated), "the first was not stored");
    let accepted = world.store.accept_as_of(&versions, &batch).await?;
    let repeated = accepted.iter().flatten().filter(|answer| answer.repeated).count();
    ensure!(repeated == 1, "{repeated} are repeated of those stored as of {versions:?}");
    // All of them repeated.
    let accepted = world.store.accept_as_of(&versions, &batch).await?;
    ensure!(accepted.is_some_and(|accepted| accepted.iter().all(|answer| answer.repeated)), "not all are repeated");
    world.endpoint(&globex).await?;
    outdated(&versions, &batch).await?;
    batch.push(world.fanout(world.event(&acme, "order.created"), &[one.id]));
    outdated(&versions, &batch).await?;
    ensure!(world.store.event(&acme, batch[201].event.id).await?.is_none(), "the new one among others is stored");
    Ok(())
}

/// What ingest keeps of a tenant is its contract and limits, too.
pub async fn every_change_of_a_tenant_raises_its_version(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut before = world.endpoints_version(&acme).await?;
    let mut raised = async |what: &str| -> Checked {
        let now = world.endpoints_version(&acme).await?;
        ensure!(now > before, "{what}: {before}, then {now}");
        before = now;
        Ok(())
    };
    let mut tenant = world.store.tenant(&acme).await?.context("the tenant")?;
    tenant.limits.payload_bytes = Some(1_000);
    world.store.update_tenant(&tenant).await?;
    raised("limits").await?;
    let change = EndpointChange { status: Some((EndpointStatus::Disabled, world.now())), ..EndpointChange::default() };
    world.update(&endpoint, &change).await?;
    raised("an endpoint's status").await?;
    world.endpoint(&acme).await?;
    raised("a new endpoint").await?;
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    raised("an endpoint less").await
}

/// Consumers that got the same events at once, in opposite orders and with different ideas of who is
/// subscribed: each event is stored once, and all answers agree with what is stored.
pub async fn rule_21_concurrent_accepts_freeze_one_set(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let events: Vec<_> = (0..4).map(|_| world.event(&acme, "order.created")).collect();
    let mut batches = Vec::new();
    for number in 0..6 {
        let endpoint = world.endpoint(&acme).await?;
        let mut batch: Vec<_> = events.iter().map(|event| world.fanout(event.clone(), &[endpoint.id])).collect();
        if number % 2 == 1 {
            batch.reverse();
        }
        batches.push(batch);
    }
    let answers = try_join_all(batches.iter().map(|batch| world.store.accept(batch))).await?;

    let pairs: Vec<_> = batches.iter().flatten().zip(answers.iter().flatten()).collect();
    for event in &events {
        let of_event: Vec<_> = pairs.iter().filter(|(fanout, _)| fanout.event.id == event.id).collect();
        let stored = of_event.iter().filter(|(_, accepted)| !accepted.repeated).count();
        ensure!(stored == 1, "{} was stored {stored} times", event.id);
        let sets: HashSet<_> =
            of_event.iter().map(|(_, accepted)| accepted.pending.iter().map(|d| d.id).collect::<Vec<_>>()).collect();
        ensure!(sets.len() == 1, "the answers differ: {sets:?}");
        ensure!(world.store.deliveries_of_event(&acme, event.id).await?.len() == 1, "more than one set is stored");
    }
    Ok(())
}
