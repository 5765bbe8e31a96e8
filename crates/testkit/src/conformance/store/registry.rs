//! `Registry`: endpoints.

use std::time::Duration;

use anyhow::ensure;
use futures::future::try_join_all;
use whimbrel_core::EndpointId;
use whimbrel_core::delivery::{Delivery, DeliveryState, FailReason, WaitReason};
use whimbrel_core::endpoint::{Endpoint, EndpointStatus, Health, SuspendReason};
use whimbrel_core::port::{Decision, EndpointChange, Facts, Page, Suspended, Updated};
use whimbrel_core::secret::{Secret, SecretPair};

use super::world::tenant_id;
use super::{Checked, World};

const ALL: Page<EndpointId> = Page { after: None, limit: 100 };

/// Whole, with two secrets, several patterns and a note; an endpoint of an unknown tenant is refused.
pub async fn an_endpoint_survives_the_store(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let mut endpoint = world.new_endpoint(&acme);
    endpoint.events = ["order.*", "customer.created", "*"].map(|text| text.parse().expect("a pattern")).into();
    endpoint.description = Some("Für die Buchhaltung, \"neu\"".to_owned());
    let secrets = endpoint.secrets.rotate(Secret::new("the new one"), world.now(), Duration::from_hours(24));
    endpoint.secrets = secrets.secrets;
    ensure!(world.store.create_endpoint(&endpoint, None).await?, "there is no limit, but it was met");
    let stored = world.stored(&endpoint).await?;
    ensure!(stored == endpoint, "{stored:?} instead of {endpoint:?}");
    ensure!(world.store.endpoints(&[endpoint.id]).await? == [endpoint], "the sender sees another one");

    let orphan = world.new_endpoint(&tenant_id("nobody"));
    ensure!(world.store.create_endpoint(&orphan, None).await.is_err(), "an unknown tenant got an endpoint");
    ensure!(world.store.endpoints(&[orphan.id]).await?.is_empty(), "an orphan is stored");
    Ok(())
}

/// The tenant's own only.
pub async fn endpoints_come_in_pages_oldest_first(world: &World) -> Checked {
    let (acme, first) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    world.endpoint(&globex).await?;
    let all = [first, world.endpoint(&acme).await?, world.endpoint(&acme).await?];
    let mut after = None;
    for expected in [&all[..2], &all[2..], &[]] {
        let page = world.store.endpoints_of(&acme, Page { after, limit: 2 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|endpoint| endpoint.id);
    }
    Ok(())
}

/// Each field by itself, then all at once; the changed endpoint comes back as it is stored.
pub async fn update_changes_only_what_it_names(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let url = Some("https://elsewhere.example/".to_owned());
    let events = Some(vec!["order.*".parse().expect("a pattern")]);
    let description = Some(Some("a note".to_owned()));
    let secrets = Some(SecretPair::new(Secret::new("another")));
    let status = Some((EndpointStatus::Disabled, world.now()));
    let changes = [
        EndpointChange { url: url.clone(), ..EndpointChange::default() },
        EndpointChange { events: events.clone(), ..EndpointChange::default() },
        EndpointChange { description: description.clone(), ..EndpointChange::default() },
        EndpointChange { description: Some(None), ..EndpointChange::default() },
        EndpointChange { secrets: secrets.clone(), ..EndpointChange::default() },
        EndpointChange { status, ..EndpointChange::default() },
        EndpointChange {
            url,
            events,
            description,
            secrets,
            status: Some((EndpointStatus::Active, world.now())),
            ..EndpointChange::default()
        },
    ];
    let mut expected = endpoint;
    for change in changes {
        expected = changed(expected, &change);
        let updated = world.update(&expected, &change).await?;
        expected.version = updated.version;
        ensure!(updated == expected, "{updated:?} instead of {expected:?} after {change:?}");
        ensure!(world.stored(&expected).await? == expected, "it was not stored");
    }
    let absent = world.new_endpoint(&acme).id;
    ensure!(
        world.store.update_endpoint(&acme, absent, &EndpointChange::default()).await? == Updated::Unknown,
        "an unknown one was updated"
    );
    Ok(())
}

fn changed(mut endpoint: Endpoint, change: &EndpointChange) -> Endpoint {
    endpoint.url = change.url.clone().unwrap_or(endpoint.url);
    endpoint.events = change.events.clone().unwrap_or(endpoint.events);
    endpoint.description = change.description.clone().unwrap_or(endpoint.description);
    endpoint.secrets = change.secrets.clone().unwrap_or(endpoint.secrets);
    if let Some((status, at)) = change.status {
        endpoint.status = status;
        endpoint.activated_at = if status.is_active() { Some(at) } else { endpoint.activated_at };
    }
    endpoint
}

/// Creation, update and deletion show in the tenant's version, an update in the endpoint's own.
pub async fn rule_10_every_change_raises_both_versions(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let mut versions = vec![world.endpoints_version(&acme).await?];
    let endpoint = world.endpoint(&acme).await?;
    versions.push(world.endpoints_version(&acme).await?);
    let change = EndpointChange { description: Some(None), ..EndpointChange::default() };
    let updated = world.update(&endpoint, &change).await?;
    ensure!(updated.version > endpoint.version, "version {} after {}", updated.version, endpoint.version);
    versions.push(world.endpoints_version(&acme).await?);
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    versions.push(world.endpoints_version(&acme).await?);
    ensure!(versions.is_sorted_by(|one, next| one < next), "the tenant's versions: {versions:?}");
    Ok(())
}

/// It also remembers when, so that what started before does not count. Disabling keeps the record.
pub async fn rule_09_activate_zeroes_health(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let delivery = world.delivery(&endpoint).await?;
    let since = world.now();
    let health = Health { consecutive_failures: 10, failing_since: Some(since) };
    let suspended = vec![Suspended { endpoint: endpoint.id, reason: SuspendReason::Gone, since }];
    let decision = Decision { health: vec![(endpoint.id, health)], suspended, ..Decision::default() };
    world.store.settle(&[world.failure(&delivery, 1)], &|_: &Facts| decision.clone()).await?;

    let disable = EndpointChange { status: Some((EndpointStatus::Disabled, world.now())), ..EndpointChange::default() };
    let disabled = world.update(&endpoint, &disable).await?;
    ensure!(disabled.status == EndpointStatus::Disabled && disabled.health == health, "{disabled:?}");
    ensure!(disabled.activated_at.is_none(), "{disabled:?}");
    let at = world.now();
    let activate = EndpointChange { status: Some((EndpointStatus::Active, at)), ..EndpointChange::default() };
    let active = world.update(&endpoint, &activate).await?;
    ensure!(active.status == EndpointStatus::Active && active.health == Health::default(), "{active:?}");
    ensure!(active.activated_at == Some(at), "{active:?}");
    Ok(())
}

/// It disappears from every list; what waits or is held is cancelled, what is over stays as it was.
pub async fn delete_endpoint_cancels_what_waits(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let at = world.now();
    let waiting =
        [DeliveryState::Waiting(WaitReason::Manual), DeliveryState::Waiting(WaitReason::Deferred), DeliveryState::Held];
    let over = [DeliveryState::Succeeded { at }, DeliveryState::Failed { reason: FailReason::Exhausted, at }];
    let mut expected = Vec::new();
    for state in waiting {
        let delivery = world.delivery_in(&endpoint, state).await?;
        expected.push(Delivery { state: DeliveryState::Cancelled, ..delivery });
    }
    for state in over {
        expected.push(world.delivery_in(&endpoint, state).await?);
    }
    expected.push(world.delivery_in(&other, waiting[0]).await?);

    ensure!(world.store.delete_endpoint(&acme, endpoint.id).await?, "a known endpoint was unknown");
    for expected in expected {
        let stored = world.position(&expected).await?;
        ensure!(stored == expected, "{stored:?} instead of {expected:?}");
    }
    ensure!(world.store.endpoint(&acme, endpoint.id).await?.is_none(), "it is still there");
    ensure!(world.store.endpoints(&[endpoint.id]).await?.is_empty(), "the sender still finds it");
    ensure!(world.store.endpoints_of(&acme, ALL).await? == [other], "the list still holds it");
    let subscribers = world.store.subscriptions(&acme).await?.subscribers;
    ensure!(subscribers.iter().all(|subscriber| subscriber.id != endpoint.id), "it is still subscribed");
    ensure!(!world.store.delete_endpoint(&acme, endpoint.id).await?, "it was deleted twice");
    Ok(())
}

/// Of each tenant by itself; a deleted endpoint makes room.
pub async fn rule_30_the_endpoint_limit_is_counted(world: &World) -> Checked {
    let (acme, first) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    ensure!(world.store.create_endpoint(&world.new_endpoint(&acme), Some(2)).await?, "the second of two was refused");
    let third = world.new_endpoint(&acme);
    ensure!(!world.store.create_endpoint(&third, Some(2)).await?, "a third of two was stored");
    ensure!(world.store.endpoint(&acme, third.id).await?.is_none(), "what was refused is stored");
    ensure!(
        world.store.create_endpoint(&world.new_endpoint(&globex), Some(2)).await?,
        "another tenant's first was refused"
    );
    world.store.delete_endpoint(&acme, first.id).await?;
    ensure!(world.store.create_endpoint(&third, Some(2)).await?, "there is room, but it was refused");
    Ok(())
}

/// Twelve at once where ten may be: ten.
pub async fn rule_30_concurrent_creations_keep_the_limit(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let endpoints: Vec<_> = (0..12).map(|_| world.new_endpoint(&acme)).collect();
    let created =
        try_join_all(endpoints.iter().map(|endpoint| world.store.create_endpoint(endpoint, Some(10)))).await?;
    let count = created.iter().filter(|created| **created).count();
    ensure!(count == 10, "{count} of 10 were created");
    let stored = world.store.endpoints_of(&acme, ALL).await?.len();
    ensure!(stored == 10, "{stored} of 10 are stored");
    Ok(())
}

/// Whoever knows another tenant's endpoint id reads, changes and deletes nothing with it.
pub async fn a_tenant_never_reaches_anothers_endpoint(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let change = EndpointChange { url: Some("https://thief.example/".to_owned()), ..EndpointChange::default() };
    ensure!(world.store.endpoint(&globex, endpoint.id).await?.is_none(), "it was read");
    ensure!(world.store.endpoints_of(&globex, ALL).await?.is_empty(), "it was listed");
    ensure!(world.store.subscriptions(&globex).await?.subscribers.is_empty(), "it was subscribed");
    let updated = world.store.update_endpoint(&globex, endpoint.id, &change).await?;
    ensure!(updated == Updated::Unknown, "it was changed: {updated:?}");
    ensure!(!world.store.delete_endpoint(&globex, endpoint.id).await?, "it was deleted");
    ensure!(world.stored(&endpoint).await? == endpoint, "it is not as it was");
    Ok(())
}
