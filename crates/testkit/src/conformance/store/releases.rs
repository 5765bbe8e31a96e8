//! `Replays`: releases of what was held, and drops.

use anyhow::ensure;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::{Endpoint, EndpointOptions, EndpointStatus};
use whimbrel_core::port::Lane;
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};

use super::ledger::BASE;
use super::life::begun;
use super::{Checked, World};

/// What is held of this endpoint then, and no more when more comes.
pub async fn a_release_counts_its_total_at_the_start(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    world.held(&endpoint, 3).await?;
    world.held(&other, 1).await?;
    world.delivery(&endpoint).await?;
    let replay = world.new_replay(&endpoint, ReplayKind::Release, ReplayFilter::default());
    let started = world.store.start_replay(&replay).await?;
    let expected = Replay { total: 3, ..replay };
    ensure!(started.as_ref() == Some(&expected), "{started:?} instead of {expected:?}");
    world.held(&endpoint, 1).await?;
    ensure!(world.replay(&expected).await? == expected, "the stored one is another");
    Ok(())
}

/// Someone activated twice, or the tracker was faster: the one that runs goes on. When it has ended, or at another
/// endpoint, another one begins.
pub async fn a_second_release_of_an_endpoint_is_the_running_one(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    world.held(&endpoint, 2).await?;
    let first = world.release(&endpoint).await?;
    world.advance(&first, 1).await?;
    let running = world.replay(&first).await?;
    let second = world.new_replay(&endpoint, ReplayKind::Release, ReplayFilter::default());
    let answer = world.store.start_replay(&second).await?;
    ensure!(answer.as_ref() == Some(&running), "{answer:?} instead of {running:?}");
    ensure!(world.store.replay(&acme, second.id).await?.is_none(), "the second one is stored");
    world.release(&other).await?;
    world.store.cancel_replay(&acme, first.id, world.now()).await?;
    world.release(&endpoint).await?;
    Ok(())
}

/// As many as the window are in flight; each first attempt that has its outcome, whichever, makes room for the next.
pub async fn rule_08_a_release_keeps_its_window(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let expected: Vec<_> = world.held(&endpoint, 5).await?.iter().map(begun).collect();
    let release = world.release(&endpoint).await?;
    let step = async |places: std::ops::Range<usize>, in_flight, state| {
        let advance = world.advance(&release, 2).await?;
        ensure!(advance.taken == expected[places.clone()], "{advance:?} instead of {places:?} of {expected:?}");
        ensure!(advance.in_flight == in_flight && advance.state == state, "{advance:?}");
        let stored = world.replay(&release).await?;
        ensure!(stored.state == state && stored.taken == u64::try_from(places.end)?, "{stored:?}");
        anyhow::Ok(())
    };
    step(0..2, 2, ReplayState::Running).await?;
    step(2..2, 2, ReplayState::Running).await?;
    let retrying = world.retry_later(&expected[1]).await?;
    step(2..3, 2, ReplayState::Running).await?;
    world.succeed(&retrying).await?;
    step(3..3, 2, ReplayState::Running).await?;
    world.succeed(&expected[0]).await?;
    world.fail(&expected[2]).await?;
    step(3..5, 2, ReplayState::Running).await?;
    world.put(Delivery { state: DeliveryState::Cancelled, ..expected[3] }).await?;
    step(5..5, 1, ReplayState::Running).await?;
    world.succeed(&expected[4]).await?;
    step(5..5, 0, ReplayState::Done).await
}

/// An owner's cap below the window bounds it; one above does not widen it.
pub async fn rule_08_the_endpoints_own_cap_bounds_the_window(world: &World) -> Checked {
    let acme = world.tenant("acme").await?;
    for (cap, expected) in [(2, 2), (9, 3)] {
        let options = EndpointOptions { in_flight_max: Some(cap), ..EndpointOptions::default() };
        let endpoint = Endpoint { options, ..world.new_endpoint(&acme) };
        ensure!(world.store.create_endpoint(&endpoint, None).await?, "there is no limit, but it was met");
        world.held(&endpoint, 4).await?;
        let advance = world.advance(&world.release(&endpoint).await?, 3).await?;
        let taken = advance.taken.len();
        ensure!(
            taken == expected && advance.in_flight == u32::try_from(expected)?,
            "{taken} taken under a cap of {cap}"
        );
    }
    Ok(())
}

/// As a manual retry does, in the order of the events; what it begins is swept in its own lane.
pub async fn rule_01_a_release_begins_a_new_round(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let (one, two) = (world.delivery(&endpoint).await?, world.delivery(&endpoint).await?);
    let three = world.delivery(&endpoint).await?;
    let held = [Delivery { round: 2, first_attempt: 3, attempt: 5, ..one }, two, Delivery { attempt: 4, ..three }]
        .map(|delivery| Delivery { state: DeliveryState::Held, ..delivery });
    for place in [2, 0, 1] {
        world.put(held[place]).await?;
    }
    let expected = held.map(|delivery| begun(&delivery));
    let now = world.now();
    let release = world.release(&endpoint).await?;
    let advance = world.store.advance_replay(release.id, 10, now, now).await?;
    ensure!(advance.taken == expected, "{:?} instead of {expected:?}", advance.taken);
    world.stand(&expected).await?;
    for (lane, expected) in [(Lane::Live, &[][..]), (Lane::Slow, &[]), (Lane::Bulk, &expected)] {
        let mut swept = world.store.overdue(lane, now, now, BASE, 10).await?;
        swept.sort_by_key(|delivery| delivery.id);
        ensure!(swept == expected, "{swept:?} in the lane {lane}");
    }
    Ok(())
}

/// What became held while it ran, by a job that had been under way, is taken too. After its end nothing is.
pub async fn rule_08_a_release_ends_only_when_nothing_is_held(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let first = world.held(&endpoint, 1).await?[0];
    let late = world.delivery(&endpoint).await?;
    let release = world.release(&endpoint).await?;
    world.advance(&release, 10).await?;
    let held = Delivery { state: DeliveryState::Held, ..late };
    world.put(held).await?;
    world.succeed(&begun(&first)).await?;
    let advance = world.advance(&release, 10).await?;
    ensure!(advance.taken == [begun(&held)] && advance.state == ReplayState::Running, "{advance:?}");
    world.succeed(&begun(&held)).await?;
    let now = world.now();
    let advance = world.store.advance_replay(release.id, 10, now, now).await?;
    ensure!(advance.state == ReplayState::Done && advance.in_flight == 0, "{advance:?}");
    let done = world.replay(&release).await?;
    ensure!(done.finished_at == Some(now) && done.taken == 2 && done.total == 1, "{done:?}");

    let after = world.held(&endpoint, 1).await?;
    let advance = world.advance(&release, 10).await?;
    ensure!(advance.taken.is_empty() && advance.state == ReplayState::Done, "{advance:?}");
    world.stand(&after).await?;
    ensure!(world.replay(&release).await? == done, "it changed after its end");
    Ok(())
}

/// What it has not taken stays held, for the next activation.
pub async fn a_release_of_an_endpoint_that_is_not_active_is_cancelled(world: &World) -> Checked {
    let (acme, _) = world.acme().await?;
    for disabled in [false, true] {
        let endpoint = world.endpoint(&acme).await?;
        let held = world.held(&endpoint, 3).await?;
        let release = world.release(&endpoint).await?;
        world.advance(&release, 1).await?;
        if disabled {
            world.set_status(&endpoint, EndpointStatus::Disabled).await?;
        } else {
            world.suspend(&endpoint).await?;
        }
        let now = world.now();
        let advance = world.store.advance_replay(release.id, 10, now, now).await?;
        ensure!(advance.taken.is_empty() && advance.state == ReplayState::Cancelled, "{advance:?}");
        let ended = world.replay(&release).await?;
        ensure!(ended.state == ReplayState::Cancelled && ended.finished_at == Some(now), "{ended:?}");
        world.stand(&[begun(&held[0]), held[1], held[2]]).await?;
    }
    Ok(())
}

/// Of every kind.
pub async fn replays_of_a_deleted_endpoint_are_cancelled(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    world.held(&endpoint, 2).await?;
    world.fail(&world.delivery(&endpoint).await?).await?;
    let mut running = vec![world.release(&endpoint).await?];
    for kind in [ReplayKind::Replay, ReplayKind::Deferred] {
        running.push(world.start(&endpoint, kind, ReplayFilter::default()).await?);
    }
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    for replay in running {
        let advance = world.advance(&replay, 10).await?;
        ensure!(advance.taken.is_empty() && advance.state == ReplayState::Cancelled, "{advance:?}");
        let ended = world.replay(&replay).await?;
        ensure!(ended.state == ReplayState::Cancelled && ended.finished_at.is_some(), "{ended:?}");
    }
    Ok(())
}

/// Those of events before its time, whether the endpoint is active or not; the rest stays as it is.
pub async fn a_drop_cancels_what_was_held_before_its_time(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let mut expected = world.held(&endpoint, 4).await?;
    expected.push(world.delivery(&endpoint).await?);
    expected.extend(world.held(&other, 1).await?);
    let failed = world.fail(&world.delivery_at(&endpoint, expected[0].id.created_at()).await?).await?;
    expected.push(failed);
    world.suspend(&endpoint).await?;

    let filter = ReplayFilter { until: Some(expected[2].id.created_at()), ..ReplayFilter::default() };
    let drop = world.start(&endpoint, ReplayKind::Drop, filter).await?;
    ensure!(drop.total == 2, "{drop:?}");
    let state = finish(world, &drop, 3).await?;
    ensure!(state == ReplayState::Done, "it is {state:?}");
    for dropped in &mut expected[..2] {
        dropped.state = DeliveryState::Cancelled;
    }
    world.stand(&expected).await
}

/// A thousand at most in one step, so that no transaction grows with what is held.
pub async fn a_drop_goes_on_in_bounded_steps(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let held = world.held(&endpoint, 1_001).await?;
    let filter = ReplayFilter { until: Some(world.now()), ..ReplayFilter::default() };
    let drop = world.start(&endpoint, ReplayKind::Drop, filter).await?;
    let advance = world.advance(&drop, 10).await?;
    ensure!(advance.taken.is_empty() && advance.state == ReplayState::Running, "{advance:?}");
    let ids: Vec<_> = held.iter().map(|delivery| delivery.id).collect();
    let left = world.store.positions(&ids).await?;
    let left = left.iter().filter(|delivery| delivery.state == DeliveryState::Held).count();
    ensure!((1..1_001).contains(&left), "{left} of 1,001 are left after one step");
    ensure!(finish(world, &drop, 4).await? == ReplayState::Done, "it goes on for ever");
    let dropped = world.store.positions(&ids).await?;
    ensure!(dropped.iter().all(|delivery| delivery.state == DeliveryState::Cancelled), "something is held still");
    Ok(())
}

/// Its state after so many steps at most.
async fn finish(world: &World, replay: &Replay, steps: usize) -> anyhow::Result<ReplayState> {
    for _ in 1..steps {
        let state = world.advance(replay, 10).await?.state;
        if state != ReplayState::Running {
            return Ok(state);
        }
    }
    Ok(world.advance(replay, 10).await?.state)
}
