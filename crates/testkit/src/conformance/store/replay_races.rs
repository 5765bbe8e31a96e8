//! `Replays`, by several callers at once.

use std::collections::HashSet;

use anyhow::ensure;
use futures::future::try_join_all;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::replay::{ReplayFilter, ReplayKind, ReplayState};

use super::world::insist;
use super::{Checked, World};

/// Two trackers that both believe to hold the lease: together they keep the window, and take nothing twice.
pub async fn rule_08_concurrent_advances_keep_the_window(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let held = world.held(&endpoint, 20).await?;
    let release = world.release(&endpoint).await?;
    let ids: Vec<_> = held.iter().map(|delivery| delivery.id).collect();
    let mut taken = Vec::new();
    for _ in 0..20 {
        let advances = try_join_all((0..4).map(|_| world.advance(&release, 3))).await?;
        let positions = world.store.positions(&ids).await?;
        let in_flight = positions.iter().filter(|delivery| delivery.state == DeliveryState::Pending).count();
        ensure!(in_flight <= 3, "{in_flight} are in flight");
        ensure!(advances.iter().all(|advance| advance.in_flight <= 3), "{advances:?}");
        let now_taken: Vec<_> = advances.into_iter().flat_map(|advance| advance.taken).collect();
        for delivery in &now_taken {
            world.succeed(delivery).await?;
        }
        taken.extend(now_taken.into_iter().map(|delivery| delivery.id));
    }
    let distinct = taken.iter().collect::<HashSet<_>>().len();
    ensure!(taken.len() == 20 && distinct == 20, "{} were taken, {distinct} of them distinct", taken.len());
    let ended = world.replay(&release).await?;
    ensure!(ended.state == ReplayState::Done && ended.taken == 20, "{ended:?}");
    Ok(())
}

/// The API and the sweep begin a release at the same moment: there is one.
pub async fn concurrent_starts_of_a_release_begin_one(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    world.held(&endpoint, 2).await?;
    let replays: Vec<_> =
        (0..6).map(|_| world.new_replay(&endpoint, ReplayKind::Release, ReplayFilter::default())).collect();
    let start = async |replay| insist(async || world.store.start_replay(replay).await).await;
    let answers = try_join_all(replays.iter().map(start)).await?;
    let ids: HashSet<_> = answers.iter().flatten().map(|replay| replay.id).collect();
    ensure!(ids.len() == 1 && answers.iter().all(Option::is_some), "{answers:?}");
    let mut stored = 0;
    for replay in &replays {
        stored += usize::from(world.store.replay(&acme, replay.id).await?.is_some());
    }
    ensure!(stored == 1, "{stored} are stored");
    Ok(())
}

/// Releases of several endpoints go on side by side while outcomes come in and jobs come back: nothing is lost.
pub async fn rule_08_a_release_beside_outcomes_loses_nothing(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let held = world.held(&endpoint, 12).await?;
    let release = world.release(&endpoint).await?;
    let ids: Vec<_> = held.iter().map(|delivery| delivery.id).collect();
    for _ in 0..40 {
        let advance = world.advance(&release, 4).await?;
        if advance.state == ReplayState::Done {
            break;
        }
        // The outcomes of this step and the next step of another tracker, at once.
        let (settled, beside) = tokio::join!(
            try_join_all(advance.taken.iter().map(|taken| world.succeed(taken))),
            world.advance(&release, 4)
        );
        settled?;
        try_join_all(beside?.taken.iter().map(|taken| world.succeed(taken))).await?;
    }
    let positions = world.store.positions(&ids).await?;
    let succeeded =
        positions.iter().filter(|delivery| matches!(delivery.state, DeliveryState::Succeeded { .. })).count();
    ensure!(succeeded == 12, "{succeeded} of 12 were released: {positions:?}");
    ensure!(world.replay(&release).await?.state == ReplayState::Done, "it goes on");
    ensure!(world.store.forgotten(10).await?.is_empty(), "something is held still");
    Ok(())
}
