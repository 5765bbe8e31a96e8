//! Where messages land, and what of them arrives.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use whimbrel_core::message::PACK_BYTES_MAX;
use whimbrel_core::parking::Origin;
use whimbrel_core::port::{Lane, Message, Queue, Route, Source};

use super::support::{PATIENCE, message, numbered, publish, take, take_and_ack, text};
use super::{Checked, Fixture};
use crate::wait;

/// Each route but notices and delays: payload, id and content type arrive, at the right source.
pub async fn every_route_lands_in_its_source(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let pairs = [
        (Route::Events("customer.created".to_owned()), Source::Events),
        (Route::Jobs(Lane::Live), Source::Jobs(Lane::Live)),
        (Route::Jobs(Lane::Slow), Source::Jobs(Lane::Slow)),
        (Route::Jobs(Lane::Bulk), Source::Jobs(Lane::Bulk)),
        (Route::Outcomes, Source::Outcomes),
        (
            Route::Parking { source: Source::Events, origin: Origin::default(), reason: "test".to_owned() },
            Source::Parking,
        ),
    ];
    let messages: Vec<Message> = pairs
        .iter()
        .map(|(route, source)| Message {
            content_type: format!("application/{}", source.to_string().replace('.', "-")),
            ..message(route.clone(), source.to_string())
        })
        .collect();
    queue.publisher().publish(messages.clone()).await?;

    for ((_, source), sent) in pairs.iter().zip(&messages) {
        let mut consumer = queue.consume(*source, 10).await?;
        let received = take_and_ack(&mut *consumer).await?;
        ensure!(received.payload == sent.payload, "{source:?} gave `{}`", text(&received));
        ensure!(received.message_id == sent.id.to_string(), "{source:?} gave the id {}", received.message_id);
        ensure!(received.content_type == sent.content_type, "{source:?} gave {}", received.content_type);
    }
    Ok(())
}

/// A parked message keeps its bytes and says in the headers `source` and `reason` where it comes from and
/// what was wrong with it, whatever characters the reason holds.
pub async fn parking_keeps_the_payload_and_says_why(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let payload = Bytes::from_static(b"\xff\x00 not protobuf");
    let route = Route::Parking {
        source: Source::Jobs(Lane::Bulk),
        origin: Origin::default(),
        reason: format!("malformed: not a\r\n job \u{1b}[31m{}", "x".repeat(100_000)),
    };
    let parked = Message { payload: payload.clone(), content_type: "text/weird".to_owned(), ..message(route, "") };
    queue.publisher().publish(vec![parked]).await?;

    let mut consumer = queue.consume(Source::Parking, 1).await?;
    let received = take_and_ack(&mut *consumer).await?;
    ensure!(received.payload == payload && received.content_type == "text/weird", "{received:?}");
    let header = |name: &str| {
        received
            .headers
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
            .with_context(|| format!("no header `{name}` in {:?}", received.headers))
    };
    ensure!(header("source")? == "jobs.bulk", "the source is `{}`", header("source")?);
    let reason = header("reason")?;
    ensure!(reason.starts_with("malformed: not a job"), "the reason is `{}`", reason.escape_debug());
    ensure!(!reason.contains(char::is_control) && reason.len() <= 1024, "the reason was not made harmless");
    Ok(())
}

/// The depth of a queue is what is ready in it, under its name.
pub async fn depths_count_what_waits(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let publisher = queue.publisher();
    publisher.publish(numbered(&Route::Jobs(Lane::Slow), 3)).await?;
    publisher.publish(numbered(&Route::Events("a.b".to_owned()), 2)).await?;
    publish(&*publisher, Route::Delay(whimbrel_core::tier::Tier::new(whimbrel_core::tier::HOPS[3]), Lane::Live), "")
        .await?;
    let expected =
        [("events", 2), ("jobs.live", 0), ("jobs.slow", 3), ("outcomes", 0), ("delay.10s", 1), ("parking", 0)];
    wait::until("the depths are right", PATIENCE, || depths_are(&*queue, &expected)).await?;

    let mut consumer = queue.consume(Source::Jobs(Lane::Slow), 10).await?;
    let received = take(&mut *consumer, 3).await?;
    consumer.acker().ack_through(received[2].tag).await?;
    wait::until("the lane is empty", PATIENCE, || depths_are(&*queue, &[("jobs.slow", 0)])).await
}

async fn depths_are(queue: &dyn Queue, expected: &[(&str, u64)]) -> Option<()> {
    let rows = queue.depths().await.ok()?;
    expected.iter().all(|(name, ready)| rows.iter().any(|row| row.name == *name && row.ready == *ready)).then_some(())
}

/// A pack of the largest size arrives byte for byte.
pub async fn a_large_pack_comes_through(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let payload: Bytes = (0..PACK_BYTES_MAX).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
    let large = Message { payload: payload.clone(), ..message(Route::Outcomes, "") };
    queue.publisher().publish(vec![large]).await?;
    let mut consumer = queue.consume(Source::Outcomes, 10).await?;
    let received = take_and_ack(&mut *consumer).await?;
    ensure!(received.payload == payload, "{} bytes came, or other ones", received.payload.len());
    Ok(())
}

/// While nothing is wrong the queue answers and blocks nobody.
pub async fn nobody_is_blocked_in_health(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    publish(&*queue.publisher(), Route::Outcomes, "any").await?;
    ensure!(!*queue.publisher().blocked().borrow(), "publishers are blocked");
    Ok(queue.ping().await?)
}
