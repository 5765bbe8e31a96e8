//! Rule 2, at its sharpest: the tracker dies between publishing a retry and its ack, again and again over
//! one delivery's life. The roles run in this process, over the real engines, so that it can die exactly there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::{DeliveryState, SWEEP_GRACE};
use whimbrel_core::port::{
    Acker, Consumer, DepthRow, Message, Publisher, Queue, QueueError, Received, Source, SystemClock, Tag,
};
use whimbrel_core::tier::Tiers;
use whimbrel_core::{DeliveryId, TenantId};
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{Roles, SOON, on_both_engines, publish, subscribe};

const KILLS: u32 = 20;

/// What the wrappers share: deaths left, and whether something was published since the last ack.
struct Fate {
    kills: AtomicU32,
    published: AtomicU32,
    died: Notify,
}

/// A queue whose user dies at its first ack after a publish, as long as there are deaths left.
struct Deadly {
    inner: Arc<dyn Queue>,
    fate: Arc<Fate>,
}

struct DeadlyPublisher(Arc<dyn Publisher>, Arc<Fate>);
struct DeadlyConsumer(Box<dyn Consumer>, Arc<Fate>);
struct DeadlyAcker(Arc<dyn Acker>, Arc<Fate>);

#[async_trait]
impl Queue for Deadly {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(DeadlyPublisher(self.inner.publisher(), self.fate.clone()))
    }

    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        Ok(Box::new(DeadlyConsumer(self.inner.consume(source, prefetch).await?, self.fate.clone())))
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.inner.ping().await
    }

    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError> {
        self.inner.depths().await
    }

    async fn close(&self) {}
}

#[async_trait]
impl Publisher for DeadlyPublisher {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        self.0.publish(messages).await?;
        self.1.published.store(1, Ordering::SeqCst);
        Ok(())
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        self.0.blocked()
    }
}

#[async_trait]
impl Consumer for DeadlyConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Received>, QueueError> {
        self.0.receive(max).await
    }

    fn acker(&self) -> Arc<dyn Acker> {
        Arc::new(DeadlyAcker(self.0.acker(), self.1.clone()))
    }
}

impl DeadlyAcker {
    /// Never returns when the time has come: the test ends the task, as a kill would.
    async fn survive(&self) {
        let published = self.1.published.swap(0, Ordering::SeqCst) == 1;
        let left = self.1.kills.load(Ordering::SeqCst);
        if published && left > 0 {
            self.1.kills.store(left - 1, Ordering::SeqCst);
            self.1.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Acker for DeadlyAcker {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.survive().await;
        self.0.ack(tags).await
    }

    async fn ack_through(&self, tag: Tag) -> Result<(), QueueError> {
        self.survive().await;
        self.0.ack_through(tag).await
    }

    async fn release(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.0.release(tags).await
    }
}

on_both_engines! {
    async fn rule_02_twenty_deaths_before_the_ack_cost_at_most_one_post_each(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(500)]);
        let contracts = Arc::new(ContractSet::built_in().scaled(0.000_002));
        let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
        let roles = Roles::open(kind, contracts.clone(), tiers.clone()).await?;
        let endpoint = subscribe(&roles, "standard", receiver.url("/"), None).await?;
        let stop = CancellationToken::new();
        roles.start_ingest(&stop);
        roles.start_sender(roles.queue.clone(), &stop);
        let fate = Arc::new(Fate { kills: AtomicU32::new(KILLS), published: AtomicU32::new(0), died: Notify::new() });
        let queue = Arc::new(Deadly { inner: roles.queue.clone(), fate: fate.clone() });
        let tracker = whimbrel_tracker::Tracker { store: roles.store.clone(), queue, contracts: contracts.into(), tiers, clock: Arc::new(SystemClock), sweep_grace: SWEEP_GRACE };
        let living = {
            let stop = stop.clone();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        ended = whimbrel_tracker::run(tracker.clone(), stop.clone()) => return ended,
                        () = fate.died.notified() => {}
                    }
                }
            })
        };
        let event = publish(&*roles.queue).await?;
        let id = DeliveryId::of(event, endpoint);
        let (row, attempts) = wait::until("the delivery has failed for good", SOON * 2, || async {
            let found = roles.store.delivery(&TenantId::default(), id).await.ok()??;
            matches!(found.0.delivery.state, DeliveryState::Failed { .. }).then_some(found)
        })
        .await?;
        assert_eq!(attempts.len(), 10, "one row per attempt: {row:?}");
        // Whatever chains are left collapse: once every queue is empty, nothing more can be sent.
        wait::until("the queues are empty", SOON, || async {
            roles.queue.depths().await.ok()?.iter().all(|row| row.ready == 0).then_some(())
        })
        .await?;
        let posts = u32::try_from(receiver.count())?;
        assert!((10..=10 + KILLS).contains(&posts), "{posts} posts");
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), living).await???;
    }
}
