//! `Replays`: past deliveries on request, and what the sender deferred.

use anyhow::{Context as _, ensure};
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};

use super::life::begun;
use super::{Checked, World};

fn failed_only() -> ReplayFilter {
    ReplayFilter { failed_only: true, ..ReplayFilter::default() }
}

/// Failed ones, or succeeded ones too; never what is under way, held or cancelled, nor another endpoint's.
pub async fn rule_01_a_replay_takes_past_deliveries_in_a_new_round(world: &World) -> Checked {
    let (acme, _) = world.acme().await?;
    for failed_only in [true, false] {
        let endpoint = world.endpoint(&acme).await?;
        world.fail(&world.delivery(&world.endpoint(&acme).await?).await?).await?;
        let failed = world.fail(&world.delivery(&endpoint).await?).await?;
        let mut others = vec![world.delivery(&endpoint).await?];
        for state in [
            DeliveryState::Retrying { at: world.now() },
            DeliveryState::Waiting(WaitReason::Manual),
            DeliveryState::Waiting(WaitReason::Deferred),
            DeliveryState::Held,
            DeliveryState::Cancelled,
        ] {
            others.push(world.delivery_in(&endpoint, state).await?);
        }
        let later = Delivery { round: 3, first_attempt: 4, attempt: 6, ..world.delivery(&endpoint).await? };
        let later = world.succeed(&later).await?;
        let expected = if failed_only { vec![begun(&failed)] } else { vec![begun(&failed), begun(&later)] };

        let filter = ReplayFilter { failed_only, ..ReplayFilter::default() };
        let replay = world.start(&endpoint, ReplayKind::Replay, filter).await?;
        ensure!(replay.total == u64::try_from(expected.len())?, "{replay:?}");
        let advance = world.advance(&replay, 10).await?;
        ensure!(advance.taken == expected, "{:?} instead of {expected:?}", advance.taken);
        world.stand(&expected).await?;
        world.stand(&others).await?;
    }
    Ok(())
}

/// By types, by time from (inclusive) and until (exclusive), and by both; the total counts what the steps take.
pub async fn a_replay_is_filtered_by_type_and_time(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut all = Vec::new();
    for event_type in ["order.created", "order.paid", "order.lost", "order.created"] {
        let fanout = world.fanout(world.event(&acme, event_type), &[endpoint.id]);
        world.accept(&fanout).await?;
        all.push(world.succeed(&fanout.deliveries[0]).await?);
    }
    let time = |place: usize| Some(all[place].id.created_at());
    let types = |names: &[&str]| names.iter().filter_map(|name| name.parse().ok()).collect();
    let none = ReplayFilter::default();
    let cases: Vec<(ReplayFilter, Vec<usize>)> = vec![
        (ReplayFilter { since: time(1), ..none.clone() }, vec![1, 2, 3]),
        (ReplayFilter { until: time(1), ..none.clone() }, vec![0]),
        (ReplayFilter { since: time(1), until: time(3), ..none.clone() }, vec![1, 2]),
        (ReplayFilter { event_types: types(&["order.created"]), ..none.clone() }, vec![0, 3]),
        (ReplayFilter { event_types: types(&["order.lost", "order.paid"]), ..none.clone() }, vec![1, 2]),
        (ReplayFilter { since: time(1), event_types: types(&["order.created", "order.paid"]), ..none }, vec![1, 3]),
    ];
    for (filter, places) in cases {
        let replay = world.start(&endpoint, ReplayKind::Replay, filter).await?;
        let stored = world.replay(&replay).await?;
        ensure!(stored == replay && stored.total == u64::try_from(places.len())?, "{stored:?}");
        let expected: Vec<_> = places.iter().map(|place| begun(&all[*place])).collect();
        let advance = world.advance(&replay, 10).await?;
        ensure!(advance.taken == expected, "{:?} instead of {expected:?} for {replay:?}", advance.taken);
        for place in places {
            all[place] = world.succeed(&begun(&all[place])).await?;
        }
        ensure!(world.advance(&replay, 10).await?.state == ReplayState::Done, "it goes on");
    }
    Ok(())
}

/// One that fails again while the replay goes on is not taken again; the window holds as in a release.
pub async fn rule_08_a_replay_never_goes_back(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(world.fail(&world.delivery(&endpoint).await?).await?);
    }
    let replay = world.start(&endpoint, ReplayKind::Replay, failed_only()).await?;
    for (place, failed) in all.iter().enumerate() {
        let advance = world.advance(&replay, 1).await?;
        ensure!(advance.taken == [begun(failed)] && advance.in_flight == 1, "{advance:?}");
        let stored = world.replay(&replay).await?;
        ensure!(stored.cursor == Some(failed.id) && stored.taken == u64::try_from(place)? + 1, "{stored:?}");
        let full = world.advance(&replay, 1).await?;
        ensure!(full.taken.is_empty() && full.in_flight == 1 && full.state == ReplayState::Running, "{full:?}");
        world.fail(&begun(failed)).await?;
    }
    let advance = world.advance(&replay, 1).await?;
    ensure!(advance.taken.is_empty() && advance.state == ReplayState::Done, "{advance:?}");
    let done = world.replay(&replay).await?;
    ensure!(done.taken == 3 && done.total == 3 && done.finished_at.is_some(), "{done:?}");
    Ok(())
}

/// There is nothing to send again.
pub async fn a_replay_leaves_out_erased_payloads(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let erased = world.fail(&world.delivery(&endpoint).await?).await?;
    let kept = world.fail(&world.delivery(&endpoint).await?).await?;
    ensure!(world.store.erase_event(&acme, erased.event).await?, "the event is unknown");
    let replay = world.start(&endpoint, ReplayKind::Replay, failed_only()).await?;
    ensure!(replay.total == 1, "{replay:?}");
    let advance = world.advance(&replay, 10).await?;
    ensure!(advance.taken == [begun(&kept)], "{advance:?}");
    world.stand(&[erased]).await?;
    world.succeed(&begun(&kept)).await?;
    ensure!(world.advance(&replay, 10).await?.state == ReplayState::Done, "it goes on");
    Ok(())
}

/// It goes on when the endpoint is activated.
pub async fn a_replay_waits_while_its_endpoint_is_not_active(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let failed = world.fail(&world.delivery(&endpoint).await?).await?;
    let replay = world.start(&endpoint, ReplayKind::Replay, failed_only()).await?;
    world.suspend(&endpoint).await?;
    for disabled in [false, true] {
        if disabled {
            world.set_status(&endpoint, EndpointStatus::Disabled).await?;
        }
        let advance = world.advance(&replay, 10).await?;
        ensure!(advance.taken.is_empty() && advance.state == ReplayState::Running, "{advance:?}");
    }
    world.stand(&[failed]).await?;
    world.set_status(&endpoint, EndpointStatus::Active).await?;
    let advance = world.advance(&replay, 10).await?;
    ensure!(advance.taken == [begun(&failed)], "{advance:?}");
    Ok(())
}

/// The awaited attempt goes on where it was; what waits for a manual retry is not its to take.
pub async fn rule_17_deferred_deliveries_keep_round_and_attempt(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let state = DeliveryState::Waiting(WaitReason::Deferred);
    let one = Delivery { state, round: 2, first_attempt: 3, attempt: 5, ..world.delivery(&endpoint).await? };
    world.put(one).await?;
    let two = world.delivery_in(&endpoint, state).await?;
    let manual = world.delivery_in(&endpoint, DeliveryState::Waiting(WaitReason::Manual)).await?;
    let expected = [one, two].map(|delivery| Delivery { state: DeliveryState::Pending, ..delivery });

    let replay = world.start(&endpoint, ReplayKind::Deferred, ReplayFilter::default()).await?;
    ensure!(replay.total == 2, "{replay:?}");
    for expected in expected {
        let advance = world.advance(&replay, 1).await?;
        ensure!(advance.taken == [expected] && advance.in_flight == 1, "{advance:?} instead of {expected:?}");
        world.stand(&[expected]).await?;
        ensure!(world.advance(&replay, 1).await?.taken.is_empty(), "the window is not kept");
        world.succeed(&expected).await?;
    }
    ensure!(world.advance(&replay, 1).await?.state == ReplayState::Done, "it goes on");
    world.stand(&[manual]).await
}

/// What was taken goes on; one that has ended stays as it ended.
pub async fn a_cancelled_replay_takes_nothing_more(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let held = world.held(&endpoint, 2).await?;
    let release = world.release(&endpoint).await?;
    world.advance(&release, 1).await?;
    let running = world.replay(&release).await?;
    ensure!(world.store.cancel_replay(&globex, release.id, world.now()).await?.is_none(), "another tenant stopped it");
    ensure!(world.replay(&release).await? == running, "another tenant changed it");

    let at = world.now();
    let cancelled = Replay { state: ReplayState::Cancelled, finished_at: Some(at), ..running };
    for now in [at, world.now()] {
        let answer = world.store.cancel_replay(&acme, release.id, now).await?.context("it is known")?;
        ensure!(answer == cancelled, "{answer:?} instead of {cancelled:?}");
        ensure!(world.replay(&release).await? == cancelled, "it was not stored");
    }
    let advance = world.advance(&release, 10).await?;
    ensure!(advance.taken.is_empty() && advance.state == ReplayState::Cancelled, "{advance:?}");
    world.stand(&[begun(&held[0]), held[1]]).await?;
    let absent = world.new_replay(&endpoint, ReplayKind::Release, ReplayFilter::default()).id;
    ensure!(world.store.cancel_replay(&acme, absent, at).await?.is_none(), "an unknown one was cancelled");
    Ok(())
}

/// Its first attempt has not been made yet; when what brings back deferred deliveries takes it, it is that one's.
pub async fn rule_17_a_deferred_delivery_keeps_its_place_in_the_window(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let held = world.held(&endpoint, 2).await?;
    let release = world.release(&endpoint).await?;
    let taken = begun(&held[0]);
    ensure!(world.advance(&release, 1).await?.taken == [taken], "another one was taken");
    world.put(Delivery { state: DeliveryState::Waiting(WaitReason::Deferred), ..taken }).await?;
    let advance = world.advance(&release, 1).await?;
    ensure!(advance.taken.is_empty() && advance.in_flight == 1, "{advance:?}");
    let deferred = world.start(&endpoint, ReplayKind::Deferred, ReplayFilter::default()).await?;
    let advance = world.advance(&deferred, 1).await?;
    ensure!(advance.taken == [taken] && advance.in_flight == 1, "{advance:?}");
    world.succeed(&taken).await?;
    ensure!(world.advance(&deferred, 1).await?.state == ReplayState::Done, "it goes on");
    ensure!(world.advance(&release, 1).await?.taken == [begun(&held[1])], "its place was not given on");
    Ok(())
}

/// What someone asked for again after its first attempt is in a round of its own: no replay waits for it.
pub async fn a_manual_retry_leaves_the_replay_that_took_it(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let held = world.held(&endpoint, 1).await?;
    let release = world.release(&endpoint).await?;
    world.advance(&release, 1).await?;
    let failed = world.fail(&begun(&held[0])).await?;
    world.store.retry(&acme, failed.id).await?;
    for taken in [false, true] {
        if taken {
            world.store.take_waiting(world.now(), 10).await?;
        }
        let advance = world.advance(&release, 1).await?;
        ensure!(advance.in_flight == 0 && advance.state == ReplayState::Done, "{advance:?}");
    }
    Ok(())
}
