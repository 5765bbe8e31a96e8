//! Batches, prefetch, order and cancellation.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;
use whimbrel_core::port::{Lane, Queue, Received, Route, Source};

use super::support::{PATIENCE, nothing_comes, numbered, numbers, publish, set, take, text, texts};
use super::{Checked, Fixture};

const JOBS: Source = Source::Jobs(Lane::Live);

fn jobs() -> Route {
    Route::Jobs(Lane::Live)
}

/// What is ready comes together, never more than was asked for. On its way to the consumer a batch may be
/// caught half arrived, so one full batch in twenty tries is enough; an engine that gives single messages has none.
pub async fn what_is_ready_comes_as_one_batch(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let publisher = queue.publisher();
    let mut consumer = queue.consume(JOBS, 100).await?;
    let mut largest = 0;
    for _ in 0..20 {
        publisher.publish(numbered(&jobs(), 11)).await?;
        let mut rest = 11 - take(&mut *consumer, 1).await?.len();
        while rest > 0 {
            let batch = timeout(PATIENCE, consumer.receive(10)).await.context("a batch did not come")??;
            ensure!((1..=10).contains(&batch.len()), "receive(10) gave {}", batch.len());
            largest = largest.max(batch.len());
            rest -= batch.len();
            let last = batch[batch.len() - 1].tag;
            consumer.acker().ack_through(last).await?;
        }
    }
    ensure!(largest == 10, "of ten ready messages at most {largest} came at once");
    Ok(())
}

/// Receive does not return empty: it waits, and returns as soon as there is something.
pub async fn receive_waits_for_the_first_message(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    nothing_comes(&mut *consumer).await?;
    let waiting = tokio::spawn(async move { take(&mut *consumer, 1).await });
    publish(&*queue.publisher(), jobs(), "late").await?;
    let received = timeout(PATIENCE, waiting).await.context("receive did not wake up")???;
    ensure!(texts(&received) == ["late"], "{:?}", texts(&received));
    Ok(())
}

/// No more than `prefetch` messages are unacked; each ack lets one more come.
pub async fn prefetch_bounds_what_is_unacked(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    queue.publisher().publish(numbered(&jobs(), 10)).await?;
    let mut consumer = queue.consume(JOBS, 4).await?;
    let mut all = take(&mut *consumer, 4).await?;
    nothing_comes(&mut *consumer).await?;
    consumer.acker().ack(&[all[1].tag]).await?;
    all.extend(take(&mut *consumer, 1).await?);
    nothing_comes(&mut *consumer).await?;
    ensure!(set(&all).len() == 5, "{:?}", texts(&all));
    Ok(())
}

/// A receive that is dropped at any moment takes no message with it.
pub async fn a_cancelled_receive_loses_nothing(fixture: &impl Fixture) -> Checked {
    const COUNT: usize = 300;
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, u16::try_from(COUNT)?).await?;
    let publisher = queue.publisher();
    let publishing = tokio::spawn(async move {
        for message in numbered(&jobs(), COUNT) {
            publisher.publish(vec![message]).await?;
        }
        anyhow::Ok(())
    });

    let mut all: Vec<Received> = Vec::new();
    let mut cancelled: u32 = 0;
    while !publishing.is_finished() {
        let patience = Duration::from_micros(u64::from(50 * (cancelled % 20)));
        match timeout(patience, consumer.receive(7)).await {
            Ok(batch) => all.extend(batch?),
            Err(_) => cancelled += 1,
        }
    }
    publishing.await??;
    all.extend(take(&mut *consumer, COUNT - all.len()).await?);
    ensure!(cancelled > 0, "no receive was cancelled");
    ensure!(texts(&all) == numbers(COUNT), "lost or out of order: {:?}", texts(&all));
    Ok(())
}

/// One consumer gets the messages of one publisher in the order they were published.
pub async fn one_consumer_receives_in_order(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, 50).await?;
    queue.publisher().publish(numbered(&jobs(), 300)).await?;
    let mut all = Vec::new();
    while all.len() < 300 {
        let batch = take(&mut *consumer, 1).await?;
        consumer.acker().ack(&[batch[0].tag]).await?;
        all.push(text(&batch[0]));
    }
    ensure!(all == numbers(300), "{all:?}");
    Ok(())
}

/// Two thousand messages from four publishers at once, acked in batches.
pub async fn many_messages_with_pipelined_confirms(fixture: &impl Fixture) -> Checked {
    const COUNT: usize = 2_000;
    let queue = fixture.open().await?;
    let messages = numbered(&jobs(), COUNT);
    let publishing: Vec<_> = messages
        .chunks(COUNT / 4)
        .map(|chunk| {
            let (publisher, chunk) = (queue.publisher(), chunk.to_vec());
            tokio::spawn(async move { publisher.publish(chunk).await })
        })
        .collect();
    let all = drain(&*queue, COUNT).await?;
    for task in publishing {
        timeout(PATIENCE, task).await.context("a publish was not confirmed")???;
    }
    ensure!(set(&all).len() == COUNT, "{} of {COUNT} came", set(&all).len());
    Ok(())
}

async fn drain(queue: &dyn Queue, count: usize) -> anyhow::Result<Vec<Received>> {
    let mut consumer = queue.consume(JOBS, 256).await?;
    let mut all = Vec::new();
    while all.len() < count {
        let batch = timeout(PATIENCE, consumer.receive(100))
            .await
            .with_context(|| format!("{} of {count} messages came", all.len()))??;
        consumer.acker().ack_through(batch[batch.len() - 1].tag).await?;
        all.extend(batch);
    }
    Ok(all)
}
