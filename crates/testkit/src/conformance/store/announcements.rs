//! `Ledger`: endpoints whose latest version is to be announced (rule 11).

use anyhow::ensure;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::port::{EndpointChange, Unannounced};

use super::{Checked, World};

/// Announces what there is, as the sweep does.
async fn announce(world: &World) -> Checked {
    let rows = world.store.unannounced(100).await?;
    let rows: Vec<_> = rows.iter().map(|row| (row.endpoint, row.version, row.status.as_str())).collect();
    world.store.announced(&rows).await?;
    let left = world.store.unannounced(100).await?;
    ensure!(left.is_empty(), "{left:?} are to be announced still");
    Ok(())
}

fn expected(endpoint: &Endpoint, announced_status: &str) -> Unannounced {
    Unannounced {
        endpoint: endpoint.id,
        tenant: endpoint.tenant.clone(),
        url: endpoint.url.clone(),
        version: endpoint.version,
        status: endpoint.status,
        activated_at: endpoint.activated_at,
        announced_status: announced_status.to_owned(),
    }
}

/// It says what was announced before, until the version is announced; then again when the endpoint is activated.
pub async fn rule_11_a_suspension_and_its_end_are_announced(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    world.endpoint(&acme).await?;
    announce(world).await?;
    world.suspend(&endpoint).await?;
    let suspended = world.stored(&endpoint).await?;
    for _ in 0..2 {
        let found = world.store.unannounced(100).await?;
        ensure!(found == [expected(&suspended, "active")], "{found:?}");
    }
    announce(world).await?;
    let active = world.set_status(&endpoint, EndpointStatus::Active).await?;
    let found = world.store.unannounced(100).await?;
    ensure!(found == [expected(&active, "suspended")], "{found:?}");
    announce(world).await
}

/// Suspended, and activated before that was announced: the announcement of the older version is noted, and the newer
/// one is still to come.
pub async fn rule_11_a_version_that_rose_meanwhile_stays_to_be_announced(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    announce(world).await?;
    world.suspend(&endpoint).await?;
    let suspended = world.stored(&endpoint).await?;
    let active = world.set_status(&endpoint, EndpointStatus::Active).await?;
    world.store.announced(&[(endpoint.id, suspended.version, "suspended")]).await?;
    let found = world.store.unannounced(100).await?;
    ensure!(found == [expected(&active, "suspended")], "{found:?}");
    announce(world).await
}

/// Every change raises the version, so that who listens drops what it keeps; an endpoint that is gone has nothing to
/// announce, and as many come as were asked for.
pub async fn rule_11_every_change_is_announced(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let (two, gone) = (world.endpoint(&acme).await?, world.endpoint(&acme).await?);
    announce(world).await?;
    let change = EndpointChange { url: Some("https://elsewhere.example/".to_owned()), ..EndpointChange::default() };
    let mut all = Vec::new();
    for endpoint in [&one, &two, &gone] {
        all.push(expected(&world.update(endpoint, &change).await?, "active"));
    }
    world.store.delete_endpoint(&acme, gone.id).await?;
    all.pop();
    let mut found = world.store.unannounced(100).await?;
    found.sort_by_key(|row| row.endpoint);
    ensure!(found == all, "{found:?} instead of {all:?}");
    ensure!(world.store.unannounced(1).await?.len() == 1, "more or less than asked for");
    world.store.announced(&[(one.id, all[0].version, "active"), (gone.id, 9, "active")]).await?;
    let found = world.store.unannounced(100).await?;
    ensure!(found == all[1..], "{found:?} instead of {:?}", all[1]);
    ensure!(world.store.announced(&[]).await.is_ok(), "announcing nothing failed");
    Ok(())
}
