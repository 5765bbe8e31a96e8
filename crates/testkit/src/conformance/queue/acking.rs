//! What an ack does, and what it does not.

use anyhow::ensure;
use whimbrel_core::port::{Lane, Route, Source, Tag};

use super::support::{is_empty, nothing_comes, numbered, publish, set, take, take_and_ack, text};
use super::{Checked, Fixture};

const JOBS: Source = Source::Jobs(Lane::Live);

fn jobs() -> Route {
    Route::Jobs(Lane::Live)
}

/// Publish, receive, ack: nothing is left, not even for the next consumer.
pub async fn what_is_acked_is_gone(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    publish(&*queue.publisher(), jobs(), "once").await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    let received = take_and_ack(&mut *consumer).await?;
    ensure!(text(&received) == "once" && received.redeliveries == 0, "{received:?}");
    drop(consumer);
    is_empty(&*queue, JOBS, jobs()).await
}

/// Tags of another epoch, never given, or acked before change nothing, and the consumer goes on.
pub async fn a_tag_of_another_epoch_or_unknown_is_ignored(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    let acker = consumer.acker();
    queue.publisher().publish(numbered(&jobs(), 2)).await?;
    let received = take(&mut *consumer, 2).await?;
    let known = received[0].tag;

    let strangers = [Tag { epoch: known.epoch + 1_000, ..known }, Tag { number: known.number + 1_000_000, ..known }];
    acker.ack(&strangers).await?;
    acker.release(&strangers).await?;
    acker.ack_through(strangers[0]).await?;
    acker.ack(&[known]).await?;
    acker.ack(&[known]).await?;
    acker.release(&[known]).await?;
    acker.ack_through(known).await?;

    publish(&*queue.publisher(), jobs(), "after").await?;
    let after = take_and_ack(&mut *consumer).await?;
    ensure!(text(&after) == "after", "the consumer went on with `{}`", text(&after));
    drop(consumer);
    let mut consumer = queue.consume(JOBS, 10).await?;
    let left = take_and_ack(&mut *consumer).await?;
    ensure!(text(&left) == text(&received[1]), "`{}` was left unacked, not `{}`", text(&received[1]), text(&left));
    Ok(())
}

/// Everything received up to the tag is acked, what came later is not.
pub async fn ack_through_acks_what_came_before(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    queue.publisher().publish(numbered(&jobs(), 5)).await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    let received = take(&mut *consumer, 5).await?;
    ensure!(received.is_sorted_by_key(|message| message.tag), "tags are not ordered by arrival");
    consumer.acker().ack_through(received[2].tag).await?;
    drop(consumer);

    let mut consumer = queue.consume(JOBS, 10).await?;
    let left = take(&mut *consumer, 2).await?;
    ensure!(set(&left) == set(&received[3..]), "left were {:?}", set(&left));
    nothing_comes(&mut *consumer).await
}

/// What is handed back comes again, and only that.
pub async fn a_released_message_comes_again_at_once(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    queue.publisher().publish(numbered(&jobs(), 2)).await?;
    let mut consumer = queue.consume(JOBS, 10).await?;
    let received = take(&mut *consumer, 2).await?;
    consumer.acker().release(&[received[1].tag]).await?;

    let again = take_and_ack(&mut *consumer).await?;
    ensure!(text(&again) == text(&received[1]), "`{}` came again", text(&again));
    ensure!(again.redeliveries >= 1, "a released message came with {} redeliveries", again.redeliveries);
    ensure!(again.tag != received[1].tag, "the tag was used again");
    nothing_comes(&mut *consumer).await
}
