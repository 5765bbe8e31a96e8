//! Consuming: a task subscribes, again and again, and hands deliveries to whoever receives.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer as Deliveries};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};
use whimbrel_core::port::{Acker, Clock, Consumer, QueueError, Received, Source};

use crate::acker::Unacked;
use crate::backoff::Backoff;
use crate::connection::{Keeper, Link};
use crate::envelope;
use crate::fault::{Fault, Strikes};
use crate::topology::{NOTICES, queue_of};

/// How long the broker may take to give a subscription, or to take one back.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const UNSUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(3);
/// As for connections: lasting faults are tried again only after a while.
const STRIKE_PAUSE: Duration = Duration::from_millis(700);
/// Notices that may wait for a slow listener; then the oldest go. Nobody may rely on hearing each.
const NOTICES_MAX: i64 = 10_000;

pub(crate) struct RabbitConsumer {
    deliveries: mpsc::Receiver<Received>,
    unacked: Arc<Unacked>,
    end: End,
    _stop: DropGuard,
}

/// Why the task has ended.
type End = Arc<Mutex<QueueError>>;

impl RabbitConsumer {
    /// Returns when the first subscription was tried, unless there is no connection to try it on: so a
    /// listener hears every notice from then on.
    pub(crate) async fn start(
        keeper: Arc<Keeper>,
        source: Source,
        prefetch: u16,
        clock: Arc<dyn Clock>,
        closing: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Self {
        let prefetch = prefetch.max(1);
        let (sender, deliveries) = mpsc::channel(prefetch.into());
        let (unacked, end) = (Arc::default(), Arc::new(Mutex::new(QueueError::Closed)));
        let (trying, tried) = oneshot::channel();
        let connected = keeper.is_up();
        let stop = closing.child_token();
        let pump = Pump { keeper, source, prefetch, clock, sender, unacked: Arc::clone(&unacked), stop: stop.clone() };
        tasks.spawn(pump.run(Arc::clone(&end), trying));
        if connected {
            // Either way it goes on in the background.
            let _ = timeout(SUBSCRIBE_TIMEOUT, tried).await;
        }
        Self { deliveries, unacked, end, _stop: stop.drop_guard() }
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Received>, QueueError> {
        loop {
            let mut batch = Vec::new();
            if self.deliveries.recv_many(&mut batch, max.max(1)).await == 0 {
                return Err(self.end.lock().expect("never poisoned").clone());
            }
            // What came before the connection was lost comes again.
            batch.retain(|received| self.unacked.holds(received.tag.epoch));
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.unacked.clone()
    }
}

struct Pump {
    keeper: Arc<Keeper>,
    source: Source,
    prefetch: u16,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Received>,
    unacked: Arc<Unacked>,
    stop: CancellationToken,
}

impl Pump {
    async fn run(self, end: End, trying: oneshot::Sender<()>) {
        let outcome = self.until_ended(trying).await;
        *end.lock().expect("never poisoned") = outcome;
    }

    async fn until_ended(&self, trying: oneshot::Sender<()>) -> QueueError {
        let mut trying = Some(trying);
        let (mut backoff, mut strikes) = (Backoff::new(self.clock.clone()), Strikes::default());
        loop {
            let link = match self.stop.run_until_cancelled(self.keeper.link()).await {
                Some(Ok(link)) => link,
                Some(Err(error)) => return error,
                None => return QueueError::Closed,
            };
            let subscribed = self.subscription(&link).await;
            drop(trying.take());
            let pause = match subscribed {
                Ok((channel, deliveries)) => {
                    backoff.reset();
                    strikes.forget();
                    self.forward(channel, deliveries, &link).await;
                    backoff.pause()
                }
                Err(fault) => {
                    if let error @ QueueError::Fatal(_) = strikes.count(&fault) {
                        return error;
                    }
                    debug!(source = %self.source, reason = fault.sentence(), "cannot subscribe, trying again");
                    if matches!(fault, Fault::Lasting(_)) { STRIKE_PAUSE } else { backoff.pause() }
                }
            };
            if self.stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return QueueError::Closed;
            }
        }
    }

    async fn subscription(&self, link: &Link) -> Result<(Channel, Deliveries), Fault> {
        let subscribed = timeout(SUBSCRIBE_TIMEOUT, self.subscribe(link)).await.map_err(|_| {
            let reason = format!("no subscription to {} within {SUBSCRIBE_TIMEOUT:?}", self.source);
            link.fail(&reason);
            Fault::Passing(reason)
        });
        subscribed?.map_err(|error| Fault::of(&error, &self.keeper.address))
    }

    async fn subscribe(&self, link: &Link) -> lapin::Result<(Channel, Deliveries)> {
        let channel = link.connection.create_channel().await?;
        // Before consuming: lapin buffers whatever the broker sends.
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let queue = match queue_of(self.source) {
            Some(queue) => queue,
            None => self.declare_own_notices(&channel).await?,
        };
        let options = BasicConsumeOptions::default();
        let deliveries = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        Ok((channel, deliveries))
    }

    /// A queue that ends with this connection.
    async fn declare_own_notices(&self, channel: &Channel) -> lapin::Result<String> {
        let mut random = [0; 8];
        self.clock.fill(&mut random);
        let name = format!("{NOTICES}.{:016x}", u64::from_be_bytes(random));
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(NOTICES_MAX));
        channel.queue_declare(name.as_str().into(), options, arguments).await?;
        let (options, nothing) = (QueueBindOptions::default(), FieldTable::default());
        channel.queue_bind(name.as_str().into(), NOTICES.into(), "#".into(), options, nothing).await?;
        Ok(name)
    }

    /// Hands deliveries on until the subscription ends, by itself or because nobody receives any more.
    async fn forward(&self, channel: Channel, mut deliveries: Deliveries, link: &Link) {
        let epoch = self.unacked.begin_epoch(channel);
        let reason = tokio::select! {
            () = self.stop.cancelled() => None,
            () = link.broken.cancelled() => None,
            () = self.unacked.failed.notified() => Some("an ack failed".to_owned()),
            reason = self.hand_on(&mut deliveries, epoch) => Some(reason),
        };
        if let Some(reason) = reason {
            warn!(source = %self.source, reason, "a subscription ended, subscribing again");
        }
        // Unacked messages go back when the channel closes; what cannot close takes the connection with it.
        if let Some(channel) = self.unacked.end_epoch()
            && timeout(UNSUBSCRIBE_TIMEOUT, channel.close(200, "done".into())).await.is_err()
        {
            link.fail("a channel did not close");
        }
        // Not before: dropped, it cancels itself, and on a channel that closes lapin takes that for the connection's end.
        drop(deliveries);
    }

    async fn hand_on(&self, deliveries: &mut Deliveries, epoch: u64) -> String {
        while let Some(delivery) = deliveries.next().await {
            let delivery = match delivery {
                Ok(delivery) => delivery,
                Err(error) => return error.to_string(),
            };
            count_tier(self.source, delivery.routing_key.as_str());
            let received = envelope::open(delivery, self.source, epoch);
            let tag = received.tag;
            self.unacked.add(tag);
            if self.sender.send(received).await.is_err() {
                return "nobody receives".to_owned();
            }
            if self.source == Source::Notices && self.unacked.ack(&[tag]).await.is_err() {
                return "a notice could not be acked".to_owned();
            }
        }
        "the broker cancelled it".to_owned()
    }
}

/// What comes out of a tier bears the tier's name in its routing key.
fn count_tier(source: Source, key: &str) {
    if let (Source::Jobs(_), Some((tier, _))) = (source, key.split_once('.'))
        && tier != "now"
    {
        metrics::counter!("whimbrel_tier_left_total", "tier" => tier.to_owned()).increment(1);
    }
}
