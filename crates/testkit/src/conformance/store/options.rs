//! `Registry`: what an endpoint's owner chose, changes on a known version, and sealing anew.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::try_join_all;
use serde_json::json;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint, EndpointOptions};
use whimbrel_core::filter::Filter;
use whimbrel_core::port::{EndpointChange, Page, Reencrypted, Updated};

use super::settle::settle_and_see;
use super::world::{insist, nothing};
use super::{Checked, World};

fn headers() -> CustomHeaders {
    let pairs = [("X-Tenant", "acme"), ("Authorization", "Bearer s3cr3t-t0k3n"), ("X-Empty", ""), ("X-Tenant", "zwei")];
    CustomHeaders(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

fn options() -> EndpointOptions {
    let filter = json!({"all": [
        {"pointer": "/order/total", "op": "gte", "value": 100},
        {"not": {"pointer": "/order/ü", "op": "eq", "value": null}}
    ]});
    EndpointOptions {
        timeout: Some(Duration::from_millis(1_500)),
        rate_limit: Some(10),
        in_flight_max: Some(3),
        retry_delays: Some([5, 300, 7_200].map(Duration::from_secs).into()),
        filter: Filter::parse(&filter).ok(),
    }
}

async fn create(world: &World, endpoint: Endpoint) -> anyhow::Result<Endpoint> {
    ensure!(world.store.create_endpoint(&endpoint, None).await?, "there is no limit, but it was met");
    Ok(endpoint)
}

/// Wherever an endpoint is read. The values of its headers are in nobody's log.
pub async fn headers_and_options_survive_the_store(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    ensure!(options().filter.is_some(), "the case's filter is none");
    let all = [
        Endpoint { headers: headers(), options: options(), ..world.new_endpoint(&acme) },
        Endpoint { headers: headers(), ..world.new_endpoint(&acme) },
        Endpoint {
            options: EndpointOptions { retry_delays: Some(Vec::new()), ..EndpointOptions::default() },
            ..world.new_endpoint(&acme)
        },
        world.new_endpoint(&acme),
    ];
    for endpoint in &all {
        let endpoint = create(world, endpoint.clone()).await?;
        ensure!(world.stored(&endpoint).await? == endpoint, "the API sees another one than {endpoint:?}");
        ensure!(world.store.endpoints(&[endpoint.id]).await? == [endpoint], "the sender sees another one");
    }
    let listed = world.store.endpoints_of(&acme, Page { after: None, limit: 9 }).await?;
    ensure!(listed == all, "{listed:?} instead of {all:?}");
    let written = format!("{listed:?}");
    ensure!(written.contains("Authorization") && !written.contains("s3cr3t-t0k3n"), "a header is readable: {written}");
    let mut subscribers = world.store.subscriptions(&acme).await?.subscribers;
    subscribers.sort_by_key(|subscriber| subscriber.id);
    let filters = subscribers.into_iter().map(|subscriber| subscriber.filter);
    ensure!(filters.eq([options().filter, None, None, None]), "ingest sees other filters");
    Ok(())
}

/// Each by itself, all of it; what the change does not name stays.
pub async fn headers_and_options_are_changed_as_a_whole(world: &World) -> Checked {
    let (_, mut endpoint) = world.acme().await?;
    let fewer = CustomHeaders(headers().0.split_off(2));
    let rate = EndpointOptions { rate_limit: Some(1), ..EndpointOptions::default() };
    let changes = [
        (Some(headers()), None),
        (None, Some(options())),
        (Some(fewer), None),
        (None, Some(rate)),
        (Some(CustomHeaders::default()), Some(EndpointOptions::default())),
    ];
    for (headers, options) in changes {
        let change = EndpointChange { headers, options, ..EndpointChange::default() };
        let updated = world.update(&endpoint, &change).await?;
        ensure!(updated.version > endpoint.version, "version {} after {}", updated.version, endpoint.version);
        endpoint.version = updated.version;
        endpoint.headers = change.headers.unwrap_or(endpoint.headers);
        endpoint.options = change.options.unwrap_or(endpoint.options);
        ensure!(updated == endpoint, "{updated:?} instead of {endpoint:?}");
        ensure!(world.stored(&endpoint).await? == endpoint, "it was not stored");
    }
    Ok(())
}

/// The tracker retries by the owner's schedule.
pub async fn retry_delays_come_with_the_facts(world: &World) -> Checked {
    let (acme, plain) = world.acme().await?;
    let chosen = create(world, Endpoint { options: options(), ..world.new_endpoint(&acme) }).await?;
    let outcomes =
        [world.failure(&world.delivery(&plain).await?, 1), world.failure(&world.delivery(&chosen).await?, 1)];
    let expected = [(plain.id, None), (chosen.id, options().retry_delays)];
    let facts = settle_and_see(world, &outcomes, nothing).await?;
    for (id, delays) in expected {
        let found = facts.endpoints.get(&id).with_context(|| format!("{id} is missing"))?;
        ensure!(found.retry_delays == delays, "{:?} instead of {delays:?}", found.retry_delays);
    }
    Ok(())
}

/// Who read an older version changes nothing and learns so; who read the current one does.
pub async fn a_change_on_a_stale_version_is_refused(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let change = |description: &str, if_version| EndpointChange {
        description: Some(Some(description.to_owned())),
        if_version: Some(if_version),
        ..EndpointChange::default()
    };
    let updated = world.update(&endpoint, &change("first", endpoint.version)).await?;
    let version = world.endpoints_version(&acme).await?;
    for other in [endpoint.version, updated.version + 1] {
        let answer = world.store.update_endpoint(&acme, endpoint.id, &change("stale", other)).await?;
        ensure!(answer == Updated::Stale, "{answer:?} for version {other}");
    }
    ensure!(world.stored(&endpoint).await? == updated, "a refused change was stored");
    ensure!(world.endpoints_version(&acme).await? == version, "a refused change raised the tenant's version");
    world.update(&endpoint, &change("second", updated.version)).await?;
    let absent = world.new_endpoint(&acme).id;
    let answer = world.store.update_endpoint(&acme, absent, &change("unknown", 1)).await?;
    ensure!(answer == Updated::Unknown, "{answer:?}");
    Ok(())
}

/// Two people saved the same page at once.
pub async fn two_changes_of_one_version_leave_one(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let changes = ["one", "two", "three", "four"].map(|text| EndpointChange {
        description: Some(Some(text.to_owned())),
        if_version: Some(endpoint.version),
        ..EndpointChange::default()
    });
    let update = async |change| insist(async || world.store.update_endpoint(&acme, endpoint.id, change).await).await;
    let answers = try_join_all(changes.iter().map(update)).await?;
    let done: Vec<_> = answers.iter().filter(|answer| matches!(answer, Updated::Done(_))).collect();
    let stale = answers.iter().filter(|answer| **answer == Updated::Stale).count();
    ensure!(done.len() == 1 && stale == 3, "{answers:?}");
    ensure!(*done[0] == Updated::Done(Box::new(world.stored(&endpoint).await?)), "another one is stored");
    Ok(())
}

/// Page by page over all tenants; what is sealed under the ring's first key stays, and no version rises.
pub async fn rule_31_reencrypt_looks_at_every_endpoint(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    let globex = world.tenant("globex").await?;
    let mut all = Vec::new();
    for tenant in [&acme, &globex, &acme, &acme, &globex] {
        all.push(create(world, Endpoint { headers: headers(), ..world.new_endpoint(tenant) }).await?);
    }
    let versions = (world.endpoints_version(&acme).await?, world.endpoints_version(&globex).await?);
    let mut after = None;
    for expected in [Some(all[1].id), Some(all[3].id), Some(all[4].id), None] {
        let step = world.store.reencrypt(after, 2).await?;
        ensure!(step == Reencrypted { changed: 0, last: expected }, "{step:?} instead of {expected:?}");
        after = expected;
    }
    for endpoint in &all {
        ensure!(world.stored(endpoint).await? == *endpoint, "{} changed", endpoint.id);
    }
    ensure!(versions == (world.endpoints_version(&acme).await?, world.endpoints_version(&globex).await?), "they rose");
    Ok(())
}
