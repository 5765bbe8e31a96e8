//! `Log::replay_event`: one event, once more or for the first time, to one endpoint.

use anyhow::ensure;
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState, WaitReason};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::Retried;

use super::life::begun;
use super::{Checked, World};

const WAITING: DeliveryState = DeliveryState::Waiting(WaitReason::Manual);

/// In its first round, for the tracker to take; asked again, it is on its way already.
pub async fn replay_event_makes_a_delivery_that_was_not_there(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let event = world.event(&acme, "order.created");
    let first = world.fanout(event.clone(), &[other.id]);
    world.accept(&first).await?;
    let expected = Delivery::new(event.id, endpoint.id, WAITING);
    let retried = world.store.replay_event(&acme, endpoint.id, event.id).await?;
    ensure!(retried == Some(Retried::Waiting(expected)), "{retried:?} instead of {expected:?}");
    let again = world.store.replay_event(&acme, endpoint.id, event.id).await?;
    ensure!(again == Some(Retried::Not(expected)), "{again:?}");

    let row = DeliveryRow {
        delivery: expected,
        tenant: acme.clone(),
        event_type: event.event_type,
        attempts: 0,
        status_code: None,
        error: None,
    };
    let found = world.store.delivery(&acme, expected.id).await?;
    ensure!(found == Some((row, Vec::new())), "{found:?}");
    let taken = world.store.take_waiting(world.now(), 10).await?;
    let pending = Delivery { state: DeliveryState::Pending, ..expected };
    ensure!(taken == [pending], "{taken:?} instead of {pending:?}");
    world.stand(&first.deliveries).await
}

/// As a manual retry does, from the same states.
pub async fn rule_01_replay_event_begins_a_new_round(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let over = [world.delivery(&endpoint).await?, world.delivery(&endpoint).await?];
    for delivery in [world.fail(&over[0]).await?, world.succeed(&over[1]).await?] {
        let expected = Delivery { state: WAITING, ..begun(&delivery) };
        let retried = world.store.replay_event(&acme, endpoint.id, delivery.event).await?;
        ensure!(retried == Some(Retried::Waiting(expected)), "{retried:?} instead of {expected:?}");
        world.stand(&[expected]).await?;
    }
    for state in [DeliveryState::Pending, DeliveryState::Held, DeliveryState::Cancelled] {
        let delivery = world.delivery_in(&endpoint, state).await?;
        let retried = world.store.replay_event(&acme, endpoint.id, delivery.event).await?;
        ensure!(retried == Some(Retried::Not(delivery)), "{retried:?} from {state:?}");
        world.stand(&[delivery]).await?;
    }
    Ok(())
}

/// Nothing is made and nothing begun: the endpoint takes none.
pub async fn replay_event_needs_an_active_endpoint(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let failed = world.fail(&world.delivery(&endpoint).await?).await?;
    let event = world.event(&acme, "order.lost");
    world.accept(&world.fanout(event.clone(), &[])).await?;
    world.set_status(&endpoint, EndpointStatus::Disabled).await?;
    let retried = world.store.replay_event(&acme, endpoint.id, failed.event).await?;
    ensure!(retried == Some(Retried::Not(failed)), "{retried:?}");
    let retried = world.store.replay_event(&acme, endpoint.id, event.id).await?;
    ensure!(!matches!(retried, Some(Retried::Waiting(_))), "{retried:?}");
    world.stand(&[failed]).await?;
    let taken = world.store.take_waiting(world.now(), 10).await?;
    ensure!(taken.is_empty(), "{taken:?} are to be published");
    Ok(())
}

/// Neither an unknown event nor another tenant's, nor to its endpoint.
pub async fn replay_event_stays_within_its_tenant(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let theirs = world.endpoint(&globex).await?;
    let (mine, other) = (world.delivery(&endpoint).await?, world.delivery(&theirs).await?);
    let unknown = (world.new_endpoint(&acme).id, world.event(&acme, "order.lost").id);
    let cases = [
        (endpoint.id, other.event),
        (theirs.id, mine.event),
        (theirs.id, other.event),
        (endpoint.id, unknown.1),
        (unknown.0, mine.event),
    ];
    for (endpoint, event) in cases {
        let retried = world.store.replay_event(&acme, endpoint, event).await?;
        ensure!(retried.is_none(), "{retried:?} for {event} at {endpoint}");
    }
    let taken = world.store.take_waiting(world.now(), 10).await?;
    ensure!(taken.is_empty(), "{taken:?} were made");
    world.stand(&[mine, other]).await
}

/// Someone clicked twice: one delivery, once.
pub async fn two_replays_of_an_event_make_one_delivery(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let event = world.event(&acme, "order.created");
    world.accept(&world.fanout(event.clone(), &[])).await?;
    let replay = || world.store.replay_event(&acme, endpoint.id, event.id);
    let answers = tokio::try_join!(replay(), replay(), replay())?;
    let answers = [answers.0, answers.1, answers.2];
    let begun = answers.iter().filter(|answer| matches!(answer, Some(Retried::Waiting(_)))).count();
    ensure!(begun == 1, "{begun} were begun: {answers:?}");
    let expected = Delivery::new(event.id, endpoint.id, WAITING);
    ensure!(world.store.deliveries_of_event(&acme, event.id).await?.len() == 1, "not one is stored");
    world.stand(&[expected]).await
}
