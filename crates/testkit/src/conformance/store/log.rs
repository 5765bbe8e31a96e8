//! `Log`: what the API shows, and manual retries.

use anyhow::{Context as _, ensure};
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState, FailReason, WaitReason};
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::event::TraceContext;
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::{DeliveryFilter, EndpointChange, Page, Retried};
use whimbrel_core::{DeliveryId, EventId};

use super::world::{nothing, sorted};
use super::{Checked, World};

const ALL: Page<DeliveryId> = Page { after: None, limit: 100 };

/// Whole: the body's bytes, where the data lies in it, the trace and the one endpoint.
pub async fn an_event_survives_the_store(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut event = world.event(&acme, "order.created");
    event.body = "{\"data\":{\"name\":\"Zoë\\u0000\", \"n\":1.0}}".into();
    event.data_range = 8..39;
    event.trace = TraceContext { traceparent: "00-01-02-01".to_owned(), tracestate: "vendor=1".to_owned() };
    event.only_endpoint = Some(endpoint.id);
    world.accept(&world.fanout(event.clone(), &[endpoint.id])).await?;
    let stored = world.store.event(&acme, event.id).await?;
    ensure!(stored.as_ref() == Some(&event), "{stored:?} instead of {event:?}");
    let absent = world.event(&acme, "order.created").id;
    ensure!(world.store.event(&acme, absent).await?.is_none(), "an unknown event is there");
    Ok(())
}

/// The tenant's own only.
pub async fn events_come_in_pages_newest_first(world: &World) -> Checked {
    let (acme, globex) = (world.tenant("acme").await?, world.tenant("globex").await?);
    let mut events = Vec::new();
    for _ in 0..5 {
        let event = world.event(&acme, "order.created");
        world.accept(&world.fanout(event.clone(), &[])).await?;
        world.accept(&world.fanout(world.event(&globex, "order.created"), &[])).await?;
        events.insert(0, event);
    }
    let mut after = None;
    for expected in [&events[..2], &events[2..4], &events[4..], &[]] {
        let page = world.store.events(&acme, Page { after, limit: 2 }).await?;
        ensure!(page == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|event| event.id);
    }
    Ok(())
}

fn ids(rows: &[DeliveryRow]) -> Vec<DeliveryId> {
    rows.iter().map(|row| row.delivery.id).collect()
}

/// All of them, by id, and none of an event of the same millisecond.
pub async fn deliveries_of_an_event(world: &World) -> Checked {
    let (acme, one) = world.acme().await?;
    let two = world.endpoint(&acme).await?;
    let event = world.event(&acme, "order.created");
    let mut twin = event.clone();
    twin.id = EventId::generate(event.id.created_at(), [255; 10]);
    let fanout = world.fanout(event.clone(), &[one.id, two.id]);
    world.store.accept(&[fanout.clone(), world.fanout(twin, &[one.id, two.id])]).await?;

    let rows = world.store.deliveries_of_event(&acme, event.id).await?;
    let expected: Vec<_> = sorted(fanout.deliveries)
        .into_iter()
        .map(|delivery| DeliveryRow {
            delivery,
            tenant: acme.clone(),
            event_type: event.event_type.clone(),
            attempts: 0,
            status_code: None,
            error: None,
        })
        .collect();
    ensure!(rows == expected, "{rows:?} instead of {expected:?}");
    let absent = world.event(&acme, "order.created").id;
    ensure!(world.store.deliveries_of_event(&acme, absent).await?.is_empty(), "deliveries of an unknown event");
    Ok(())
}

/// The endpoint's own only.
pub async fn deliveries_come_in_pages_newest_first(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, world.delivery(&endpoint).await?.id);
        world.delivery(&other).await?;
    }
    let mut after = None;
    for expected in [&expected[..2], &expected[2..4], &expected[4..], &[]] {
        let page = world.store.deliveries(endpoint.id, &DeliveryFilter::default(), Page { after, limit: 2 }).await?;
        ensure!(ids(&page) == expected, "{page:?} instead of {expected:?}");
        after = page.last().map(|row| row.delivery.id);
    }
    Ok(())
}

/// By states, by type, by time from (inclusive) and until (exclusive), and by all of them on one page.
pub async fn deliveries_are_filtered(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let mut all = Vec::new();
    for event_type in ["order.created", "order.paid", "order.created", "order.paid"] {
        let fanout = world.fanout(world.event(&acme, event_type), &[endpoint.id]);
        world.accept(&fanout).await?;
        all.insert(0, fanout.deliveries[0]);
    }
    let at = world.now();
    for (place, state) in [(0, DeliveryState::Held), (1, DeliveryState::Succeeded { at }), (2, DeliveryState::Held)] {
        world.put(Delivery { state, ..all[place] }).await?;
    }
    let times = [0, 1, 2, 3].map(|place: usize| all[place].id.created_at());
    let paid = "order.paid".parse().ok();
    let none = DeliveryFilter::default();
    let cases: Vec<(DeliveryFilter, Vec<usize>)> = vec![
        (none.clone(), vec![0, 1, 2, 3]),
        (DeliveryFilter { states: vec!["held"], ..none.clone() }, vec![0, 2]),
        (DeliveryFilter { states: vec!["succeeded", "pending"], ..none.clone() }, vec![1, 3]),
        (DeliveryFilter { states: vec!["failed"], ..none.clone() }, vec![]),
        (DeliveryFilter { event_type: paid.clone(), ..none.clone() }, vec![0, 2]),
        (DeliveryFilter { since: Some(times[2]), ..none.clone() }, vec![0, 1, 2]),
        (DeliveryFilter { until: Some(times[2]), ..none.clone() }, vec![3]),
        (DeliveryFilter { since: Some(times[2]), until: Some(times[0]), ..none.clone() }, vec![1, 2]),
        (
            DeliveryFilter { states: vec!["held"], event_type: paid, since: Some(times[3]), until: Some(times[0]) },
            vec![2],
        ),
    ];
    for (filter, places) in cases {
        let rows = world.store.deliveries(endpoint.id, &filter, ALL).await?;
        let expected: Vec<_> = places.iter().map(|place| all[*place].id).collect();
        ensure!(ids(&rows) == expected, "{:?} instead of {expected:?} for {filter:?}", ids(&rows));
    }
    let held = DeliveryFilter { states: vec!["held"], ..none };
    let next = world.store.deliveries(endpoint.id, &held, Page { after: Some(all[0].id), limit: 1 }).await?;
    ensure!(ids(&next) == [all[2].id], "{next:?} comes after the first held one");
    Ok(())
}

/// In the order of their numbers, whatever the order they came in.
pub async fn a_delivery_comes_with_its_attempts(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let (delivery, quiet) = (world.delivery(&endpoint).await?, world.delivery(&endpoint).await?);
    let outcomes = [world.success(&delivery, 3), world.failure(&delivery, 1), world.failure(&delivery, 2)];
    world.store.settle(&outcomes, &nothing).await?;
    let (row, attempts) = world.store.delivery(&acme, delivery.id).await?.context("it was stored")?;
    ensure!(row.delivery == delivery && row.tenant == acme, "{row:?}");
    ensure!(row.event_type.as_str() == "order.created", "{row:?}");
    let expected: Vec<_> =
        [1, 2, 0].into_iter().filter_map(|place: usize| Outcome::attempt_row(&outcomes[place])).collect();
    ensure!(attempts == expected, "{attempts:?} instead of {expected:?}");
    let (_, none) = world.store.delivery(&acme, quiet.id).await?.context("it was stored")?;
    ensure!(none.is_empty(), "{none:?}");
    let absent = DeliveryId::of(delivery.event, world.new_endpoint(&acme).id);
    ensure!(world.store.delivery(&acme, absent).await?.is_none(), "an unknown delivery is there");
    ensure!(world.store.retry(&acme, absent).await?.is_none(), "an unknown delivery was retried");
    Ok(())
}

/// Attempt numbers go on where they were; the tracker then takes it, and what it has left of the old round is
/// of no account.
pub async fn rule_01_retry_begins_a_new_round(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let at = world.now();
    let states = [
        DeliveryState::Retrying { at },
        DeliveryState::Failed { reason: FailReason::Exhausted, at },
        DeliveryState::Succeeded { at },
    ];
    for state in states {
        let before = Delivery { round: 2, first_attempt: 3, attempt: 5, state, ..world.delivery(&endpoint).await? };
        world.put(before).await?;
        let retried = world.store.retry(&acme, before.id).await?;
        let state = DeliveryState::Waiting(WaitReason::Manual);
        let expected = Delivery { state, round: 3, first_attempt: 6, attempt: 6, ..before };
        ensure!(retried == Some(Retried::Waiting(expected)), "{retried:?} instead of {expected:?}");
        ensure!(world.position(&before).await? == expected, "it was not stored");
        let taken = world.store.take_waiting(world.now(), 10).await?;
        let pending = Delivery { state: DeliveryState::Pending, ..expected };
        ensure!(taken == [pending], "{taken:?}");
    }
    Ok(())
}

/// What has an attempt on its way, is held or cancelled stays as it is.
pub async fn retry_only_from_settled_states(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let states = [
        DeliveryState::Pending,
        DeliveryState::Waiting(WaitReason::Manual),
        DeliveryState::Waiting(WaitReason::Deferred),
        DeliveryState::Held,
        DeliveryState::Cancelled,
    ];
    for state in states {
        let delivery = world.delivery_in(&endpoint, state).await?;
        let retried = world.store.retry(&acme, delivery.id).await?;
        ensure!(retried == Some(Retried::Not(delivery)), "{retried:?} from {state:?}");
        ensure!(world.position(&delivery).await? == delivery, "it changed");
    }
    Ok(())
}

/// An endpoint that is disabled or gone takes no retry.
pub async fn retry_needs_an_active_endpoint(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let failed = DeliveryState::Failed { reason: FailReason::Exhausted, at: world.now() };
    let delivery = world.delivery_in(&endpoint, failed).await?;
    let not = Some(Retried::Not(delivery));
    let disable = EndpointChange { status: Some((EndpointStatus::Disabled, world.now())), ..EndpointChange::default() };
    world.store.update_endpoint(&acme, endpoint.id, &disable).await?;
    ensure!(world.store.retry(&acme, delivery.id).await? == not, "a disabled endpoint took a retry");
    world.store.delete_endpoint(&acme, endpoint.id).await?;
    ensure!(world.store.retry(&acme, delivery.id).await? == not, "a deleted endpoint took a retry");
    ensure!(world.position(&delivery).await? == delivery, "it changed");
    Ok(())
}

/// Someone clicked twice.
pub async fn two_retries_begin_one_round(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let failed = DeliveryState::Failed { reason: FailReason::Gone, at: world.now() };
    let delivery = world.delivery_in(&endpoint, failed).await?;
    let answers = tokio::try_join!(world.store.retry(&acme, delivery.id), world.store.retry(&acme, delivery.id))?;
    let begun = [answers.0, answers.1].iter().filter(|answer| matches!(answer, Some(Retried::Waiting(_)))).count();
    ensure!(begun == 1, "{begun} rounds were begun: {answers:?}");
    ensure!(world.position(&delivery).await?.round == 2, "the round is wrong");
    Ok(())
}

/// Whoever knows another tenant's ids reads and retries nothing with them.
pub async fn a_tenant_never_reads_anothers_log(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let globex = world.tenant("globex").await?;
    let delivery = failed(world, &endpoint).await?;
    ensure!(world.store.event(&globex, delivery.event).await?.is_none(), "the event was read");
    ensure!(world.store.events(&globex, Page { after: None, limit: 9 }).await?.is_empty(), "the event was listed");
    ensure!(world.store.deliveries_of_event(&globex, delivery.event).await?.is_empty(), "the deliveries were listed");
    ensure!(world.store.delivery(&globex, delivery.id).await?.is_none(), "the delivery was read");
    ensure!(world.store.retry(&globex, delivery.id).await?.is_none(), "the delivery was retried");
    ensure!(world.position(&delivery).await? == delivery, "the delivery changed");
    Ok(())
}

async fn failed(world: &World, endpoint: &Endpoint) -> anyhow::Result<Delivery> {
    let state = DeliveryState::Failed { reason: FailReason::Exhausted, at: world.now() };
    world.delivery_in(endpoint, state).await
}
