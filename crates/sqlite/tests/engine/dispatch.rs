//! What is particular to this queue: its memory, its delivery limit, its notices.

use anyhow::ensure;
use whimbrel_core::port::{Lane, QueueError, Route, Source};
use whimbrel_sqlite::Options;

use crate::common::{ensure_empty, message, numbered, numbers, take, texts};

const JOBS: Source = Source::Jobs(Lane::Live);

/// Published before, between and after reads from disk, with a consumer and without one.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_memory_comes_in_order_from_disk() -> anyhow::Result<()> {
    let options = Options { memory_messages_max: 8, ..Options::default() };
    let (_dir, engine) = crate::common::open(options).await?;
    let (queue, route) = (engine.queue(), Route::Jobs(Lane::Live));
    let publisher = queue.publisher();
    publisher.publish(numbered(&route, 0, 20)).await?;
    let mut consumer = queue.consume(JOBS, 1000).await?;
    let mut received = take(&mut *consumer, 5).await?;
    for block in 1..20 {
        publisher.publish(numbered(&route, block * 20, 20)).await?;
        received.extend(take(&mut *consumer, 20).await?);
    }
    received.extend(take(&mut *consumer, 15).await?);
    ensure!(texts(&received) == numbers(0, 400), "{:?}", texts(&received));
    ensure_empty(&*queue).await
}

#[tokio::test]
async fn a_message_beyond_the_delivery_limit_is_parked() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    queue.publisher().publish(vec![message(Route::Jobs(Lane::Live), "poison")]).await?;
    let mut consumer = queue.consume(JOBS, 1).await?;
    for redeliveries in 0..=20 {
        let received = take(&mut *consumer, 1).await?.remove(0);
        ensure!(received.redeliveries == redeliveries, "{} redeliveries, not {redeliveries}", received.redeliveries);
        consumer.acker().release(&[received.tag]).await?;
    }
    let mut parking = queue.consume(Source::Parking, 1).await?;
    let parked = take(&mut *parking, 1).await?.remove(0);
    let header = |name: &str| parked.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    ensure!(texts(std::slice::from_ref(&parked)) == ["poison"], "{parked:?}");
    ensure!(
        header("source") == Some("jobs.live")
            && header("reason").is_some_and(|reason| reason.starts_with("delivery_limit: ")),
        "{parked:?}"
    );
    ensure_empty(&*queue).await
}

#[tokio::test]
async fn rule_10_a_listener_that_missed_notices_hears_so_once() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let mut listener = queue.consume(Source::Notices, 1).await?;
    queue.publisher().publish(numbered(&Route::Notices("endpoint.changed".to_owned()), 0, 5000)).await?;
    let missed = listener.receive(10).await;
    ensure!(matches!(missed, Err(QueueError::Away(_))), "{missed:?}");
    let heard = take(&mut *listener, 10).await?;
    ensure!(heard.iter().all(|notice| notice.kind == "endpoint.changed"), "{heard:?}");
    Ok(())
}
