//! Parking: what lies there can be looked at, brought back as it was, and thrown away.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use whimbrel_core::ParkedId;
use whimbrel_core::parking::{DELIVERY_LIMIT, Origin, Parked, REDRIVEN, Selection};
use whimbrel_core::port::{Lane, Message, ParkedFate, Parking, Queue, Route, Source};

use super::support::{PATIENCE, is_empty, message, publish, take, take_and_ack, text};
use super::{Checked, Fixture};
use crate::wait;

fn route(source: Source, reason: &str) -> Route {
    Route::Parking { source, origin: Origin::default(), reason: reason.to_owned() }
}

async fn park(queue: &dyn Queue, places: &[(Source, &str, &str)]) -> anyhow::Result<()> {
    for (source, reason, payload) in places {
        publish(&*queue.publisher(), route(*source, reason), payload).await?;
    }
    Ok(())
}

/// Waits until so many lie there: a broker may take a moment to dead-letter.
async fn parked(parking: &Arc<dyn Parking>, count: usize) -> anyhow::Result<Vec<Parked>> {
    wait::until("so many are parked", PATIENCE, || async {
        let (found, _) = parking.list(&Selection::default(), 100).await.ok()?;
        (found.len() == count).then_some(found)
    })
    .await
}

fn payloads(parked: &[Parked]) -> Vec<String> {
    parked.iter().map(|parked| String::from_utf8_lossy(&parked.payload).into_owned()).collect()
}

fn ids(parked: &[Parked]) -> Vec<ParkedId> {
    parked.iter().map(|parked| parked.id).collect()
}

/// Looking takes nothing away, keeps the order and the ids, and tells where from, why and since when.
pub async fn what_is_parked_is_listed_and_stays(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let parking = fixture.parking().await?;
    let (events, jobs) = (Source::Events, Source::Jobs(Lane::Bulk));
    park(&*queue, &[(events, "bad_type: a", "1"), (jobs, "malformed: b", "2"), (events, "bad_type: c", "3")]).await?;
    let first = parked(&parking, 3).await?;
    ensure!(payloads(&first) == ["1", "2", "3"], "{first:?}");
    ensure!(first[1].source == Some(jobs) && first[1].reason == "malformed: b", "{:?}", first[1]);
    ensure!(first.iter().all(|parked| parked.parked_at.is_some()), "{first:?}");
    for _ in 0..12 {
        let again = parked(&parking, 3).await?;
        ensure!(payloads(&again).len() == 3, "{again:?}");
        let (mut before, mut after) = (ids(&first), ids(&again));
        before.sort_unstable();
        after.sort_unstable();
        ensure!(before == after, "the ids have changed: {first:?}, {again:?}");
    }
    let bad = Selection { reason: Some("bad_type".into()), ..Selection::default() };
    let (found, walk) = parking.list(&bad, 1).await?;
    ensure!(payloads(&found) == ["1"] && walk.more, "{found:?}, {walk:?}");
    let by_id = Selection { ids: vec![first[2].id], ..Selection::default() };
    let (found, _) = parking.list(&by_id, 10).await?;
    ensure!(payloads(&found) == ["3"], "{found:?}");
    Ok(())
}

/// An event comes back with the properties and headers that it was sent with.
pub async fn an_event_goes_back_as_it_was(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let parking = fixture.parking().await?;
    let headers = [("tenant".to_owned(), "acme".to_owned()), ("other".to_owned(), "not kept".to_owned())];
    let origin = Origin::new("order-7", "order.created", Some(1_700_000_000), "", &headers);
    let route = Route::Parking { source: Source::Events, origin, reason: "unknown_tenant: acme".to_owned() };
    let event = Message { content_type: "application/json".to_owned(), ..message(route, "{}") };
    queue.publisher().publish(vec![event]).await?;
    park(&*queue, &[(Source::Events, "malformed: it stays", "stays")]).await?;

    let unknown = Selection { reason: Some("unknown_tenant".into()), ..Selection::default() };
    parked(&parking, 2).await?;
    let walk = parking.settle(&unknown, ParkedFate::Redrive, 10).await?;
    ensure!(walk.redriven == 1 && walk.stuck == 0, "{walk:?}");
    let received = take_and_ack(&mut *queue.consume(Source::Events, 10).await?).await?;
    ensure!(text(&received) == "{}" && received.content_type == "application/json", "{received:?}");
    ensure!(received.message_id == "order-7" && received.kind == "order.created", "{received:?}");
    let header = |name: &str| received.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    ensure!(header("tenant") == Some("acme") && header(REDRIVEN) == Some("1"), "{:?}", received.headers);
    ensure!(header("other").is_none() && header("reason").is_none(), "{:?}", received.headers);
    ensure!(payloads(&parked(&parking, 1).await?) == ["stays"]);
    Ok(())
}

/// Jobs come back in their lane, outcomes to the tracker; at most as many as were asked for.
pub async fn jobs_and_outcomes_go_back(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let parking = fixture.parking().await?;
    let (slow, outcomes) = (Source::Jobs(Lane::Slow), Source::Outcomes);
    park(&*queue, &[(slow, "malformed: a", "1"), (outcomes, "malformed: b", "2"), (slow, "malformed: c", "3")]).await?;
    parked(&parking, 3).await?;
    let walk = parking.settle(&Selection::default(), ParkedFate::Redrive, 2).await?;
    ensure!(walk.redriven == 2 && walk.more, "{walk:?}");
    ensure!(text(&take_and_ack(&mut *queue.consume(slow, 10).await?).await?) == "1");
    ensure!(text(&take_and_ack(&mut *queue.consume(outcomes, 10).await?).await?) == "2");
    let from_lane = Selection { source: Some(slow), ..Selection::default() };
    let walk = parking.settle(&from_lane, ParkedFate::Redrive, 10).await?;
    ensure!(walk.redriven == 1 && !walk.more, "{walk:?}");
    ensure!(text(&take_and_ack(&mut *queue.consume(slow, 10).await?).await?) == "3");
    is_empty(&*queue, Source::Parking, route(slow, "the end")).await
}

/// What is thrown away is gone, and the depth with it.
pub async fn what_is_discarded_is_gone(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let parking = fixture.parking().await?;
    park(&*queue, &[(Source::Outcomes, "malformed: a", "1"), (Source::Outcomes, "malformed: b", "2")]).await?;
    let first = parked(&parking, 2).await?.remove(0);
    let one = Selection { ids: vec![first.id], ..Selection::default() };
    let walk = parking.settle(&one, ParkedFate::Discard, 10).await?;
    ensure!(walk.discarded == 1, "{walk:?}");
    ensure!(parking.settle(&one, ParkedFate::Discard, 10).await?.discarded == 0, "it was thrown away twice");
    ensure!(payloads(&parked(&parking, 1).await?) == ["2"]);
    wait::until("one is left", PATIENCE, || async {
        let rows = queue.depths().await.ok()?;
        rows.iter().any(|row| row.name == "parking" && row.ready == 1).then_some(())
    })
    .await
}

/// What comes too often is parked by the engine, says so, goes back, and the next time says how often it has.
pub async fn rule_19_what_came_too_often_goes_back_and_is_counted(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let parking = fixture.parking().await?;
    publish(&*queue.publisher(), Route::Jobs(Lane::Bulk), "poison").await?;
    let mut consumer = queue.consume(Source::Jobs(Lane::Bulk), 10).await?;
    for round in 0..2 {
        let found = loop {
            let received = take(&mut *consumer, 1).await?;
            consumer.acker().release(&[received[0].tag]).await?;
            if received[0].redeliveries >= 20 {
                break parked(&parking, 1).await?;
            }
        };
        let only = &found[0];
        ensure!(only.word() == DELIVERY_LIMIT && only.source == Some(Source::Jobs(Lane::Bulk)), "{only:?}");
        ensure!(only.origin.redriven == round && only.parked_at.is_some(), "round {round}: {only:?}");
        let walk = parking.settle(&Selection::default(), ParkedFate::Redrive, 10).await?;
        ensure!(walk.redriven == 1, "{walk:?}");
    }
    let received = take(&mut *consumer, 1).await?;
    let last = received.first().context("it came back")?;
    ensure!(text(last) == "poison" && last.redeliveries == 0, "{last:?}");
    Ok(())
}
