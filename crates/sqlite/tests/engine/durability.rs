//! What is there after the engine was dropped without a word.

use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::port::{Clock as _, Lane, Route, Source, SystemClock};
use whimbrel_core::tier::Tier;
use whimbrel_sqlite::Options;

use crate::common::{ensure_empty, message, numbered, numbers, take, texts};

const JOBS: Source = Source::Jobs(Lane::Live);

#[tokio::test]
async fn what_was_not_acked_comes_again_after_a_drop() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    queue.publisher().publish(numbered(&Route::Jobs(Lane::Live), 0, 6)).await?;
    let mut consumer = queue.consume(JOBS, 4).await?;
    let received = take(&mut *consumer, 4).await?;
    ensure!(received.iter().all(|message| message.redeliveries == 0), "redelivered at the first time");
    drop((consumer, queue, engine));

    let queue = crate::common::open_at(dir.path(), Options::default()).await?.queue();
    let mut consumer = queue.consume(JOBS, 10).await?;
    let again = take(&mut *consumer, 6).await?;
    ensure!(texts(&again) == numbers(0, 6), "{:?}", texts(&again));
    ensure!(again.iter().all(|message| message.redeliveries == 1), "what a restart found counts as redelivered");

    queue.publisher().publish(numbered(&Route::Jobs(Lane::Live), 6, 1)).await?;
    let new = take(&mut *consumer, 1).await?;
    ensure!(texts(&new) == ["6"] && new[0].redeliveries == 0, "{new:?}");
    Ok(())
}

#[tokio::test]
async fn an_ack_is_written_when_the_engine_is_dropped() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    queue.publisher().publish(numbered(&Route::Outcomes, 0, 3)).await?;
    let mut consumer = queue.consume(Source::Outcomes, 10).await?;
    let received = take(&mut *consumer, 3).await?;
    consumer.acker().ack(&[received[0].tag, received[1].tag]).await?;
    drop((consumer, queue, engine));

    let queue = crate::common::open_at(dir.path(), Options::default()).await?.queue();
    let mut consumer = queue.consume(Source::Outcomes, 10).await?;
    ensure!(texts(&take(&mut *consumer, 1).await?) == ["2"], "acked messages came again");
    Ok(())
}

#[tokio::test]
async fn due_times_are_kept_over_a_restart() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let (short, long) = (Tier::new(Duration::from_millis(700)), Tier::new(Duration::from_hours(1)));
    let before = SystemClock.now();
    let delayed = [message(Route::Delay(long, Lane::Slow), "late"), message(Route::Delay(short, Lane::Slow), "soon")];
    queue.publisher().publish(delayed.to_vec()).await?;
    drop((queue, engine));

    let queue = crate::common::open_at(dir.path(), Options::default()).await?.queue();
    let opened = SystemClock.now().since(before);
    let mut consumer = queue.consume(Source::Jobs(Lane::Slow), 10).await?;
    let received = take(&mut *consumer, 1).await?;
    let waited = SystemClock.now().since(before);
    ensure!(texts(&received) == ["soon"], "{received:?}");
    // Due before the file was opened, it might have been given out before.
    ensure!(received[0].redeliveries == 0 || opened >= short.delay(), "{received:?}");
    ensure!(waited >= short.delay(), "it came {waited:?} after it was published");
    let depths = queue.depths().await?;
    let depth = |name: &str| depths.iter().find(|row| row.name == name).map(|row| row.ready);
    ensure!(depth("delay.1h") == Some(1) && depth("delay.700ms") == Some(0), "{depths:?}");
    Ok(())
}

/// More than one group takes at once, all due at the same time.
#[tokio::test]
async fn many_due_messages_come_in_order() -> anyhow::Result<()> {
    const COUNT: usize = 400;
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let tier = Tier::new(Duration::from_millis(50));
    queue.publisher().publish(numbered(&Route::Delay(tier, Lane::Bulk), 0, COUNT)).await?;
    drop((queue, engine));
    let queue = crate::common::open_at(dir.path(), Options::default()).await?.queue();
    let mut consumer = queue.consume(Source::Jobs(Lane::Bulk), 1000).await?;
    ensure!(texts(&take(&mut *consumer, COUNT).await?) == numbers(0, COUNT), "out of order");
    Ok(())
}

/// It stays in its tier on disk until it is acked, and is given out once.
#[tokio::test]
async fn a_delayed_message_that_was_given_out_comes_again_after_a_drop_until_it_is_acked() -> anyhow::Result<()> {
    const SLOW: Source = Source::Jobs(Lane::Slow);
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let mut consumer = queue.consume(SLOW, 10).await?;
    let tier = Tier::new(Duration::from_millis(50));
    queue.publisher().publish(numbered(&Route::Delay(tier, Lane::Slow), 0, 2)).await?;
    let received = take(&mut *consumer, 2).await?;
    ensure!(texts(&received) == numbers(0, 2), "{received:?}");
    ensure!(received.iter().all(|message| message.redeliveries == 0), "redelivered at the first time");
    consumer.acker().ack(&[received[0].tag]).await?;
    consumer.acker().release(&[received[1].tag]).await?;
    let back = take(&mut *consumer, 1).await?;
    ensure!(texts(&back) == ["1"] && back[0].redeliveries == 1, "{back:?}");
    drop((consumer, queue, engine));

    let engine = crate::common::open_at(dir.path(), Options::default()).await?;
    let queue = engine.queue();
    let mut consumer = queue.consume(SLOW, 10).await?;
    let again = take(&mut *consumer, 1).await?;
    ensure!(texts(&again) == ["1"] && again[0].redeliveries > 0, "{again:?}");
    consumer.acker().ack(&[again[0].tag]).await?;
    drop((consumer, queue));
    crate::common::close(engine).await;

    let queue = crate::common::open_at(dir.path(), Options::default()).await?.queue();
    ensure_empty(&*queue).await
}
