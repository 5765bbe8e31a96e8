//! The broker goes away in the middle of work and comes back: nothing confirmed is lost, and both sides
//! go on by themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, timeout};
use whimbrel_core::port::{Consumer, Lane, Publisher, Queue as _, QueueError, Route, Source};
use whimbrel_rabbitmq::RabbitQueue;
use whimbrel_testkit::rabbitmq::{Broker, Vhost};
use whimbrel_testkit::wait;

use crate::support::{self, PATIENCE, connect, message};

/// How soon after the broker is back messages flow again.
const RESUMED_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_nothing_confirmed() -> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    scene.consumed_at_least(200).await?;
    scene.broker.kill().await;
    scene.broker.start_again().await?;
    scene.goes_on().await?;
    scene.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_broker_loses_nothing_confirmed() -> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    scene.consumed_at_least(200).await?;
    scene.broker.stop().await;
    scene.broker.start_again().await?;
    scene.goes_on().await?;
    scene.finish().await
}

/// One publisher and one consumer at work on a broker of their own.
struct Scene {
    broker: Broker,
    _vhost: Vhost,
    queue: Arc<RabbitQueue>,
    counts: Arc<Counts>,
    publishing: tokio::task::JoinHandle<anyhow::Result<BTreeSet<String>>>,
    consuming: tokio::task::JoinHandle<anyhow::Result<BTreeSet<String>>>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    confirmed: AtomicUsize,
    consumed: AtomicUsize,
}

impl Scene {
    async fn start() -> anyhow::Result<Self> {
        let broker = Broker::start().await?;
        let vhost = broker.create_vhost().await?;
        support::declare(&vhost).await?;
        let queue = connect(vhost.amqp_url()).await?;
        let counts = Arc::new(Counts::default());
        let publishing = tokio::spawn(publish(queue.publisher(), counts.clone()));
        let consuming = tokio::spawn(consume(queue.consume(Source::Jobs(Lane::Live), 50).await?, counts.clone()));
        Ok(Self { broker, _vhost: vhost, queue, counts, publishing, consuming })
    }

    async fn consumed_at_least(&self, count: usize) -> anyhow::Result<()> {
        let probe = async || (self.counts.consumed.load(Ordering::SeqCst) >= count).then_some(());
        wait::until(&format!("{count} messages were consumed"), PATIENCE, probe).await
    }

    /// New messages are confirmed and come through within the limit.
    async fn goes_on(&self) -> anyhow::Result<()> {
        let back = Instant::now();
        let consumed = self.counts.consumed.load(Ordering::SeqCst);
        let confirmed = self.counts.confirmed.load(Ordering::SeqCst);
        let probe = async || (self.counts.confirmed.load(Ordering::SeqCst) >= confirmed + 50).then_some(());
        wait::until("publishing goes on", PATIENCE, probe).await?;
        self.consumed_at_least(consumed + 50).await?;
        ensure!(back.elapsed() < RESUMED_WITHIN, "it took {:?} to go on", back.elapsed());
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<()> {
        self.counts.stop.store(true, Ordering::SeqCst);
        let confirmed = timeout(PATIENCE, &mut self.publishing).await.context("still publishing")???;
        let all = confirmed.len();
        wait::until("the queue is empty", PATIENCE, async || {
            let rows = self.queue.depths().await.ok()?;
            rows.iter().find(|row| row.name == "jobs.live" && row.ready == 0).map(drop)
        })
        .await?;
        self.consumed_at_least(all).await?;
        self.queue.close().await;
        let consumed = timeout(PATIENCE, &mut self.consuming).await.context("still consuming")???;
        let lost: Vec<_> = confirmed.difference(&consumed).collect();
        ensure!(lost.is_empty(), "{} of {all} confirmed messages were lost: {lost:?}", lost.len());
        Ok(())
    }
}

/// Publishes numbered messages in small batches until told to stop, each again until it is confirmed.
async fn publish(publisher: Arc<dyn Publisher>, counts: Arc<Counts>) -> anyhow::Result<BTreeSet<String>> {
    let mut confirmed = BTreeSet::new();
    while !counts.stop.load(Ordering::SeqCst) {
        let texts: Vec<_> = (0..10).map(|index| (confirmed.len() + index).to_string()).collect();
        let batch: Vec<_> = texts.iter().map(|text| message(Route::Jobs(Lane::Live), text)).collect();
        loop {
            match publisher.publish(batch.clone()).await {
                Ok(()) => break,
                Err(QueueError::Away(_)) => {}
                Err(error) => return Err(error).context("publishing"),
            }
        }
        confirmed.extend(texts);
        counts.confirmed.store(confirmed.len(), Ordering::SeqCst);
    }
    Ok(confirmed)
}

/// Receives and acks until the queue is closed.
async fn consume(mut consumer: Box<dyn Consumer>, counts: Arc<Counts>) -> anyhow::Result<BTreeSet<String>> {
    let mut consumed = BTreeSet::new();
    loop {
        let batch = match consumer.receive(20).await {
            Ok(batch) => batch,
            Err(QueueError::Closed) => return Ok(consumed),
            Err(error) => return Err(error).context("receiving"),
        };
        consumed.extend(batch.iter().map(|received| String::from_utf8_lossy(&received.payload).into_owned()));
        counts.consumed.store(consumed.len(), Ordering::SeqCst);
        let tags: Vec<_> = batch.iter().map(|received| received.tag).collect();
        consumer.acker().ack(&tags).await?;
    }
}
