//! `Replays`: which there are, and which are missing.

use anyhow::ensure;
use whimbrel_core::delivery::{DeliveryState, WaitReason};
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::port::{Forgotten, Page};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::{ReplayId, TenantId};

use super::{Checked, World};

const ALL: Page<ReplayId> = Page { after: None, limit: 100 };

/// Of one endpoint or all, ended or not; what the tracker started for deferred deliveries is nobody's to see.
pub async fn replays_come_in_pages_newest_first(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let two = world.endpoint(&acme).await?;
    let filter = ReplayFilter::default;
    let mut all = [
        world.release(&one).await?,
        world.start(&one, ReplayKind::Replay, filter()).await?,
        world.release(&two).await?,
        world.start(&one, ReplayKind::Replay, filter()).await?,
        world.start(&two, ReplayKind::Drop, ReplayFilter { until: Some(world.now()), ..filter() }).await?,
    ];
    world.start(&one, ReplayKind::Deferred, filter()).await?;
    world.store.cancel_replay(&acme, all[1].id, world.now()).await?;
    all[1] = world.replay(&all[1]).await?;
    all.reverse();

    let mut after = None;
    for expected in [&all[..2], &all[2..4], &all[4..], &[]] {
        let page = world.store.replays(&acme, None, Page { after, limit: 2 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|replay| replay.id);
    }
    let of_one: Vec<_> = all.iter().filter(|replay| replay.endpoint == one.id).cloned().collect();
    let listed = world.store.replays(&acme, Some(one.id), ALL).await?;
    ensure!(listed == of_one, "{listed:?} instead of {of_one:?}");
    let next = world.store.replays(&acme, Some(one.id), Page { after: Some(of_one[0].id), limit: 1 }).await?;
    ensure!(next == of_one[1..2], "{next:?} instead of {:?}", of_one[1]);
    Ok(())
}

/// Whoever knows another tenant's ids reads and starts nothing with them.
pub async fn a_tenant_never_reaches_a_foreign_replay(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let release = world.release(&endpoint).await?;
    ensure!(world.store.replay(&globex, release.id).await?.is_none(), "it was read");
    ensure!(world.store.replays(&globex, None, ALL).await?.is_empty(), "it was listed");
    ensure!(world.store.replays(&globex, Some(endpoint.id), ALL).await?.is_empty(), "it was listed by its endpoint");
    let stranger = Endpoint { tenant: globex, ..endpoint.clone() };
    for endpoint in [stranger, world.new_endpoint(&acme)] {
        for kind in [ReplayKind::Release, ReplayKind::Replay] {
            let replay = world.new_replay(&endpoint, kind, ReplayFilter::default());
            ensure!(world.store.start_replay(&replay).await?.is_none(), "it was started: {replay:?}");
        }
    }
    ensure!(world.store.replays(&acme, None, ALL).await? == [release], "the tenant's own changed");
    Ok(())
}

/// Every tenant's and kind's, so that a tracker that starts goes on with them; the ended ones are left out.
pub async fn running_replays_come_in_pages_by_id(world: &World) -> Checked {
    let (_, one) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let two = world.endpoint(&globex).await?;
    let filter = ReplayFilter::default;
    let ended = [world.release(&one).await?, world.start(&two, ReplayKind::Replay, filter()).await?];
    ensure!(world.advance(&ended[0], 10).await?.state == ReplayState::Done, "nothing was held, but it goes on");
    world.store.cancel_replay(&globex, ended[1].id, world.now()).await?;
    let running = [
        world.start(&one, ReplayKind::Deferred, filter()).await?,
        world.start(&two, ReplayKind::Drop, ReplayFilter { until: Some(world.now()), ..filter() }).await?,
        world.release(&one).await?,
        world.start(&one, ReplayKind::Replay, filter()).await?,
        world.start(&two, ReplayKind::Replay, filter()).await?,
    ];
    let mut after = None;
    for expected in [&running[..2], &running[2..4], &running[4..], &[]] {
        let page = world.store.running_replays(Page { after, limit: 2 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|replay| replay.id);
    }
    Ok(())
}

async fn forgotten(world: &World) -> anyhow::Result<Vec<(TenantId, Replay)>> {
    let mut found = Vec::new();
    for Forgotten { tenant, endpoint, kind } in world.store.forgotten(100).await? {
        let endpoint = world.store.endpoint(&tenant, endpoint).await?.unwrap_or_else(|| world.new_endpoint(&tenant));
        found.push((tenant, world.new_replay(&endpoint, kind, ReplayFilter::default())));
    }
    Ok(found)
}

/// Held deliveries of an active endpoint, by a job that was under way when its release ended. What is held at an
/// endpoint that is not active is where it belongs; a drop is enough too.
pub async fn rule_08_held_deliveries_without_a_release_are_found(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let quiet = world.endpoint(&acme).await?;
    world.delivery(&quiet).await?;
    for suspended in [true, false] {
        let other = world.endpoint(&acme).await?;
        world.held(&other, 1).await?;
        if suspended {
            world.suspend(&other).await?;
        } else {
            world.set_status(&other, EndpointStatus::Disabled).await?;
        }
    }
    ensure!(world.store.forgotten(100).await?.is_empty(), "something was found where nothing is missing");

    let held = world.held(&endpoint, 3).await?;
    let expected = Forgotten { tenant: acme.clone(), endpoint: endpoint.id, kind: ReplayKind::Release };
    let found = world.store.forgotten(100).await?;
    ensure!(found == [expected], "{found:?}");
    let release = world.release(&endpoint).await?;
    ensure!(world.store.forgotten(100).await?.is_empty(), "something was found while a release runs");
    world.store.cancel_replay(&acme, release.id, world.now()).await?;
    ensure!(forgotten(world).await?.len() == 1, "what a cancelled release left is not found");
    let filter = ReplayFilter { until: Some(held[2].id.created_at()), ..ReplayFilter::default() };
    world.start(&endpoint, ReplayKind::Drop, filter).await?;
    ensure!(world.store.forgotten(100).await?.is_empty(), "something was found while a drop runs");
    Ok(())
}

/// Deferred ones without a running replay of that kind; a release is not enough.
pub async fn rule_17_deferred_deliveries_without_a_replay_are_found(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let deferred = world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Deferred)).await?;
    world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Manual)).await?;
    world.release(&endpoint).await?;
    let expected = Forgotten { tenant: acme, endpoint: endpoint.id, kind: ReplayKind::Deferred };
    let found = world.store.forgotten(100).await?;
    ensure!(found == [expected], "{found:?}");
    let replay = world.start(&endpoint, ReplayKind::Deferred, ReplayFilter::default()).await?;
    ensure!(world.store.forgotten(100).await?.is_empty(), "something was found while a replay of that kind runs");
    let taken = world.advance(&replay, 10).await?.taken;
    ensure!(taken.len() == 1 && taken[0].id == deferred.id, "{taken:?}");
    world.succeed(&taken[0]).await?;
    ensure!(world.advance(&replay, 10).await?.state == ReplayState::Done, "it goes on");
    ensure!(world.store.forgotten(100).await?.is_empty(), "something was found where nothing waits");
    Ok(())
}

/// As many as asked for; with both kinds at one endpoint, both.
pub async fn forgotten_finds_endpoints_of_every_tenant(world: &World) -> Checked {
    let (_, one) = world.acme().await?;
    let two = world.endpoint(&world.tenant("globex").await?).await?;
    for endpoint in [&one, &two] {
        world.held(endpoint, 3).await?;
    }
    world.delivery_in(&two, DeliveryState::Waiting(WaitReason::Deferred)).await?;
    let mut found: Vec<_> = forgotten(world).await?;
    found.sort_by_key(|(_, replay)| (replay.endpoint, replay.kind.as_str()));
    let kinds: Vec<_> = found.iter().map(|(tenant, replay)| (tenant.as_str(), replay.endpoint, replay.kind)).collect();
    let expected = [
        ("acme", one.id, ReplayKind::Release),
        ("globex", two.id, ReplayKind::Deferred),
        ("globex", two.id, ReplayKind::Release),
    ];
    ensure!(kinds == expected, "{kinds:?}");
    ensure!(world.store.forgotten(1).await?.len() == 1, "more or less than asked for");
    for (_, replay) in &found {
        world.store.start_replay(replay).await?;
    }
    ensure!(world.store.forgotten(100).await?.is_empty(), "something is missing still");
    Ok(())
}
