//! What a consumer that has nothing to do gets before it is written.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use anyhow::ensure;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use whimbrel_core::port::{Consumer, Decision, Facts, Lane, Message, Publisher, QueueError, Received, Route, Source};
use whimbrel_sqlite::{Engine, Options};

use crate::common::{close, ensure_empty, message, numbered, numbers, open, open_at, take, texts};

/// Sources whose consumers are soon done with a message, and the way there.
fn brief() -> [(Source, Route); 2] {
    [(Source::Events, Route::Events("order.created".to_owned())), (Source::Outcomes, Route::Outcomes)]
}

/// Those, and one whose consumer takes its time.
fn given() -> impl Iterator<Item = (Source, Route)> {
    brief().into_iter().chain([(Source::Jobs(Lane::Live), Route::Jobs(Lane::Live))])
}

/// Publishes while a consumer waits, which deals with the first message. Returns when the publisher has been told.
async fn hand_over(
    consumer: &mut dyn Consumer,
    publisher: &dyn Publisher,
    messages: Vec<Message>,
    deal: impl AsyncFnOnce(&mut dyn Consumer, Received) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let receive = async {
        let received = take(consumer, 1).await?.remove(0);
        deal(consumer, received).await
    };
    // In this order: it waits by the time the writer learns of the messages.
    let (dealt, published) = tokio::join!(receive, publisher.publish(messages));
    dealt?;
    Ok(published?)
}

async fn ack(consumer: &mut dyn Consumer, received: Received) -> anyhow::Result<()> {
    Ok(consumer.acker().ack(&[received.tag]).await?)
}

async fn keep(_: &mut dyn Consumer, _: Received) -> anyhow::Result<()> {
    Ok(())
}

/// Fails when something is left for the next process.
async fn ensure_nothing_stays(dir: &TempDir, engine: Engine) -> anyhow::Result<()> {
    close(engine).await;
    ensure_empty(&*open_at(dir.path(), Options::default()).await?.queue()).await
}

#[tokio::test]
async fn what_is_acked_soon_is_never_written() -> anyhow::Result<()> {
    for (source, route) in brief() {
        let (dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        let before = engine.tally().commits();
        for number in 0..10 {
            hand_over(&mut *consumer, &*publisher, numbered(&route, number, 1), ack).await?;
        }
        let commits = engine.tally().commits() - before;
        ensure!(commits == 0, "{commits} commits for {source}");
        ensure_empty(&*queue).await?;
        drop((consumer, publisher, queue));
        ensure_nothing_stays(&dir, engine).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_publisher_is_not_told_before_it_is_acked_or_written() -> anyhow::Result<()> {
    for (source, route) in brief() {
        let (_dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        let before = engine.tally().commits();
        hand_over(&mut *consumer, &*publisher, numbered(&route, 0, 1), keep).await?;
        ensure!(engine.tally().commits() > before, "told of {source} without a commit");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_consumer_keeps_is_written_and_comes_again_until_it_is_acked() -> anyhow::Result<()> {
    for (source, route) in given() {
        let (dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        hand_over(&mut *consumer, &*publisher, numbered(&route, 0, 2), keep).await?;
        drop((consumer, publisher, queue, engine));

        let engine = open_at(dir.path(), Options::default()).await?;
        let queue = engine.queue();
        let mut consumer = queue.consume(source, 10).await?;
        let again = take(&mut *consumer, 2).await?;
        ensure!(texts(&again) == numbers(0, 2), "{again:?}");
        ensure!(again.iter().all(|message| message.redeliveries == 1), "{again:?}");
        consumer.acker().ack_through(again[1].tag).await?;
        drop((consumer, queue));
        ensure_nothing_stays(&dir, engine).await?;
    }
    Ok(())
}

/// The ack comes while the message is being written, or right after.
#[tokio::test]
async fn a_late_ack_takes_back_what_was_written() -> anyhow::Result<()> {
    for wait_ms in [15, 18, 19, 20, 21, 22, 25] {
        for (source, route) in brief() {
            let (dir, engine) = open(Options::default()).await?;
            let queue = engine.queue();
            let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
            let ack_late = async |consumer: &mut dyn Consumer, received: Received| {
                sleep(Duration::from_millis(wait_ms)).await;
                ack(consumer, received).await
            };
            hand_over(&mut *consumer, &*publisher, numbered(&route, 0, 1), ack_late).await?;
            drop((consumer, publisher, queue));
            ensure_nothing_stays(&dir, engine).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_job_is_durable_when_its_publisher_is_told() -> anyhow::Result<()> {
    let (dir, engine) = open(Options::default()).await?;
    let queue = engine.queue();
    let source = Source::Jobs(Lane::Live);
    let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
    let before = engine.tally().commits();
    hand_over(&mut *consumer, &*publisher, numbered(&Route::Jobs(Lane::Live), 0, 1), ack).await?;
    ensure!(engine.tally().commits() > before, "told without a commit");
    drop((consumer, publisher, queue));
    ensure_nothing_stays(&dir, engine).await
}

#[tokio::test]
async fn what_goes_beyond_the_delivery_limit_at_once_is_parked_once() -> anyhow::Result<()> {
    let (dir, engine) = open(Options::default()).await?;
    let queue = engine.queue();
    let (mut consumer, publisher) = (queue.consume(Source::Outcomes, 10).await?, queue.publisher());
    let refuse = async |consumer: &mut dyn Consumer, mut received: Received| {
        for _ in 0..20 {
            consumer.acker().release(&[received.tag]).await?;
            received = take(consumer, 1).await?.remove(0);
        }
        Ok(consumer.acker().release(&[received.tag]).await?)
    };
    hand_over(&mut *consumer, &*publisher, vec![message(Route::Outcomes, "poison")], refuse).await?;
    drop((consumer, publisher, queue));
    close(engine).await;

    let engine = open_at(dir.path(), Options::default()).await?;
    let queue = engine.queue();
    let mut parking = queue.consume(Source::Parking, 10).await?;
    ensure!(texts(&take(&mut *parking, 1).await?) == ["poison"], "not parked");
    ensure_empty(&*queue).await
}

/// One that is with a consumer is not found again among those that wait on disk behind it.
#[tokio::test]
async fn what_comes_behind_comes_once_and_in_order() -> anyhow::Result<()> {
    for (source, route) in given() {
        let options = Options { memory_messages_max: 2, ..Options::default() };
        let (dir, engine) = open(options).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 100).await?, queue.publisher());
        hand_over(&mut *consumer, &*publisher, numbered(&route, 0, 1), keep).await?;
        let mut received = Vec::new();
        for block in 0..5 {
            let publish = publisher.publish(numbered(&route, 1 + 10 * block, 10));
            let (more, published) = tokio::join!(take(&mut *consumer, 10), publish);
            published?;
            received.extend(more?);
        }
        ensure!(texts(&received) == numbers(1, 50), "{:?}", texts(&received));
        ensure_empty(&*queue).await?;
        consumer.acker().ack_through(received[49].tag).await?;
        drop((consumer, publisher, queue));
        ensure_nothing_stays(&dir, engine).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_that_closes_writes_what_is_not_acked() -> anyhow::Result<()> {
    for (source, route) in brief() {
        let (dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        let closing = queue.clone();
        let close_queue = async |_: &mut dyn Consumer, _: Received| {
            closing.close().await;
            Ok(())
        };
        hand_over(&mut *consumer, &*publisher, numbered(&route, 0, 1), close_queue).await?;
        drop((consumer, publisher, queue, closing));
        close(engine).await;
        let queue = open_at(dir.path(), Options::default()).await?.queue();
        let mut consumer = queue.consume(source, 10).await?;
        ensure!(texts(&take(&mut *consumer, 1).await?) == ["0"], "lost");
    }
    Ok(())
}

/// A commit that does not end before it may.
struct Slow {
    begun: Barrier,
    may_end: Barrier,
}

impl Slow {
    /// Begins one; it is under way when this returns.
    async fn begin(engine: &Engine) -> (Arc<Self>, JoinHandle<anyhow::Result<()>>) {
        let (slow, settling) = Self::queue(engine);
        slow.pass(|slow| &slow.begun).await;
        (slow, settling)
    }

    /// Puts one in line.
    fn queue(engine: &Engine) -> (Arc<Self>, JoinHandle<anyhow::Result<()>>) {
        let slow = Arc::new(Self { begun: Barrier::new(2), may_end: Barrier::new(2) });
        let (store, held) = (engine.store(), slow.clone());
        let settling = tokio::spawn(async move {
            let decide = |_: &Facts| {
                held.begun.wait();
                held.may_end.wait();
                Decision::default()
            };
            store.settle(&[], &decide).await?;
            Ok(())
        });
        (slow, settling)
    }

    async fn end(self: Arc<Self>, settling: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
        self.pass(|slow| &slow.may_end).await;
        settling.await?
    }

    async fn pass(self: &Arc<Self>, which: fn(&Self) -> &Barrier) {
        let slow = self.clone();
        tokio::task::spawn_blocking(move || which(&slow).wait()).await.expect("it does not panic");
    }
}

/// Publishes beside the test.
fn publish_after(
    pause: Duration,
    publisher: &Arc<dyn Publisher>,
    messages: Vec<Message>,
) -> JoinHandle<Result<(), QueueError>> {
    let publisher = publisher.clone();
    tokio::spawn(async move {
        sleep(pause).await;
        publisher.publish(messages).await
    })
}

/// The ack of a job, which comes before the job is written, is not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_under_way_keeps_nobody_waiting_who_has_nothing_to_do() -> anyhow::Result<()> {
    for (source, route) in given() {
        let (dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        let publish_behind = async {
            let (slow, settling) = Slow::begin(&engine).await;
            (slow, settling, publish_after(Duration::ZERO, &publisher, numbered(&route, 0, 1)))
        };
        let (received, (slow, settling, publishing)) = tokio::join!(take(&mut *consumer, 1), publish_behind);
        ack(&mut *consumer, received?.remove(0)).await?;
        ensure!(!publishing.is_finished(), "told of {source} by a commit that has not ended");
        slow.end(settling).await?;
        publishing.await??;
        drop((consumer, publisher, queue));
        ensure_nothing_stays(&dir, engine).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_overtakes_what_is_being_written() -> anyhow::Result<()> {
    for (source, route) in given() {
        let (_dir, engine) = open(Options::default()).await?;
        let queue = engine.queue();
        let (mut consumer, publisher) = (queue.consume(source, 10).await?, queue.publisher());
        let (first, first_settling) = Slow::begin(&engine).await;
        // In one group, while nobody waits for them.
        let (second, second_settling) = Slow::queue(&engine);
        let before = publish_after(Duration::ZERO, &publisher, numbered(&route, 0, 1));
        sleep(Duration::from_millis(50)).await;
        first.end(first_settling).await?;
        second.pass(|slow| &slow.begun).await;
        let behind = publish_after(Duration::from_millis(50), &publisher, numbered(&route, 1, 1));
        let early = tokio::time::timeout(Duration::from_millis(300), take(&mut *consumer, 1)).await;
        second.end(second_settling).await?;
        ensure!(early.is_err(), "{early:?}");
        before.await??;
        let received = take(&mut *consumer, 2).await?;
        ensure!(texts(&received) == numbers(0, 2), "{:?}", texts(&received));
        consumer.acker().ack_through(received[1].tag).await?;
        behind.await??;
    }
    Ok(())
}
