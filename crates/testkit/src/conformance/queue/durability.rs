//! Closing and opening again.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;
use whimbrel_core::port::{Lane, QueueError, Route, Source};
use whimbrel_core::tier::{HOPS, Tier};

use super::support::{PATIENCE, message, nothing_comes, numbered, set, take};
use super::{Checked, Fixture};

const JOBS: Source = Source::Jobs(Lane::Live);

/// What was confirmed and not acked is there again after a restart, what waits in a tier included; what was
/// acked is not.
pub async fn a_reopened_queue_has_what_was_confirmed(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    queue.publisher().publish(numbered(&Route::Jobs(Lane::Live), 4)).await?;
    queue.publisher().publish(vec![message(Route::Delay(Tier::new(HOPS[1]), Lane::Live), "delayed")]).await?;
    let received = take(&mut *consumer, 4).await?;
    consumer.acker().ack(&[received[0].tag, received[2].tag]).await?;
    queue.close().await;
    drop((consumer, queue));

    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    let again = take(&mut *consumer, 3).await?;
    let expected: BTreeSet<String> = ["1", "3", "delayed"].map(String::from).into();
    ensure!(set(&again) == expected, "{:?} came, {expected:?} was due", set(&again));
    nothing_comes(&mut *consumer).await
}

/// After `close` every operation says [`QueueError::Closed`], one that was waiting included.
pub async fn a_closed_queue_says_so(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let publisher = queue.publisher();
    let mut consumer = queue.consume(JOBS, 10).await?;
    let mut waiting = queue.consume(JOBS, 10).await?;
    let waiting = tokio::spawn(async move { waiting.receive(1).await });
    queue.close().await;

    let published = publisher.publish(numbered(&Route::Outcomes, 1)).await;
    ensure!(matches!(published, Err(QueueError::Closed)), "publish gave {published:?}");
    let received = timeout(PATIENCE, waiting).await.context("receive still waits")??;
    ensure!(matches!(received, Err(QueueError::Closed)), "the waiting receive gave {received:?}");
    let received = timeout(PATIENCE, consumer.receive(1)).await.context("receive waits")?;
    ensure!(matches!(received, Err(QueueError::Closed)), "receive gave {received:?}");
    let consumed = queue.consume(JOBS, 10).await.map(drop);
    ensure!(matches!(consumed, Err(QueueError::Closed)), "consume gave {consumed:?}");
    Ok(())
}
