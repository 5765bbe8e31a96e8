//! A file that cannot grow: publishers hear that the queue is away, and everything works again once there is room.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::time::timeout;
use whimbrel_core::port::{Lane, QueueError, Route, Source};
use whimbrel_sqlite::Options;

use crate::common::{PATIENCE, message, take};

#[tokio::test(flavor = "multi_thread")]
async fn rule_16_a_full_file_blocks_publishers_until_there_is_room() -> anyhow::Result<()> {
    let options = Options { file_bytes_max: Some(2 * 1024 * 1024), ..Options::default() };
    let (_dir, engine) = crate::common::open(options).await?;
    let queue = engine.queue();
    let publisher = queue.publisher();
    let mut blocked = publisher.blocked();
    let large = || vec![message(Route::Jobs(Lane::Live), Bytes::from(vec![7; 100 * 1024]))];

    let mut published = 0;
    let error = loop {
        match publisher.publish(large()).await {
            Ok(()) => published += 1,
            Err(error) => break error,
        }
        ensure!(published < 100, "100 messages of 100 KiB fitted into 2 MiB");
    };
    ensure!(matches!(error, QueueError::Away(_)), "a full file gave {error:?}");
    ensure!(published > 5, "only {published} messages fitted");
    ensure!(*blocked.borrow_and_update(), "publishers are not blocked");
    ensure!(queue.ping().await.is_err(), "the queue says that it is well");
    ensure!(engine.store().ping().await.is_ok(), "reading does not need room");

    // What was confirmed is there; acking it makes room.
    let mut consumer = queue.consume(Source::Jobs(Lane::Live), 1000).await?;
    let received = take(&mut *consumer, published).await?;
    consumer.acker().ack_through(received[published - 1].tag).await?;
    timeout(PATIENCE, blocked.wait_for(|blocked| !blocked)).await.context("still blocked")??;
    publisher.publish(large()).await?;
    queue.ping().await?;
    Ok(())
}
