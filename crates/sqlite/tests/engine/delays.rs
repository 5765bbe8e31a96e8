//! How delayed messages come out.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::ensure;
use tokio::time::sleep;
use whimbrel_core::port::{Lane, Route, Source};
use whimbrel_core::tier::{HOPS, Tier};
use whimbrel_sqlite::Options;

use crate::common::{ensure_empty, numbered, numbers, open, take, texts};

const JOBS: Source = Source::Jobs(Lane::Slow);

fn delayed(hop: usize) -> Route {
    Route::Delay(Tier::new(HOPS[hop]), Lane::Slow)
}

/// Nobody waits for the writer, or the writer for them.
#[tokio::test]
async fn what_finds_room_comes_without_a_commit() -> anyhow::Result<()> {
    let (_dir, engine) = open(Options::default()).await?;
    let queue = engine.queue();
    let mut consumer = queue.consume(JOBS, 1000).await?;
    queue.publisher().publish(numbered(&delayed(0), 0, 100)).await?;
    let before = engine.tally().commits();
    let received = take(&mut *consumer, 100).await?;
    ensure!(texts(&received) == numbers(0, 100), "{:?}", texts(&received));
    ensure!(engine.tally().commits() == before, "{} commits", engine.tally().commits() - before);
    ensure_empty(&*queue).await
}

/// While some are looked for, others are written, due before or after them, and those that came are acked.
#[tokio::test(flavor = "multi_thread")]
async fn each_comes_once_whatever_is_written_and_acked_meanwhile() -> anyhow::Result<()> {
    const ROUNDS: usize = 150;
    const EACH: usize = 5;
    for memory_messages_max in [4096, 8] {
        let (_dir, engine) = open(Options { memory_messages_max, ..Options::default() }).await?;
        let (queue, publisher) = (engine.queue(), engine.queue().publisher());
        let mut consumer = queue.consume(JOBS, 1000).await?;
        let publishing = async {
            for round in 0..ROUNDS {
                let route = delayed(usize::from(round % 3 == 0));
                publisher.publish(numbered(&route, round * EACH, EACH)).await?;
                sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        let receiving = async {
            let mut seen = HashSet::new();
            while seen.len() < ROUNDS * EACH {
                for received in take(&mut *consumer, 1).await? {
                    consumer.acker().ack(&[received.tag]).await?;
                    let text = texts(&[received]).remove(0);
                    ensure!(seen.insert(text.clone()), "{text} came twice");
                }
            }
            // What were to come again would be due by now.
            let more = tokio::time::timeout(Duration::from_millis(500), consumer.receive(1)).await;
            ensure!(more.is_err(), "{more:?}");
            Ok(())
        };
        tokio::try_join!(publishing, receiving)?;
        ensure_empty(&*queue).await?;
    }
    Ok(())
}
