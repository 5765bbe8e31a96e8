//! The port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use whimbrel_core::port::{Clock, Consumer, DepthRow, Publisher, Queue, QueueError, Source};
use whimbrel_core::tier::Tiers;

use crate::address::Address;
use crate::connection::{Keeper, Purpose};
use crate::consumer::{RabbitConsumer, UNSUBSCRIBE_TIMEOUT};
use crate::fault::Fault;
use crate::publisher::RabbitPublisher;
use crate::topology::{EVENTS, Topology};

/// How long a question to the broker may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which broker, as whom.
#[derive(Clone)]
pub struct Options {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`. `?heartbeat=SECONDS` changes the 20 seconds.
    pub url: String,
    /// What the connections are called in the broker's pages: the process's roles.
    pub role: String,
    /// Whether published events bear the connection's user (rule 33).
    pub name_user: bool,
}

/// The queue on a RabbitMQ broker that has the [`Topology`].
pub struct RabbitQueue {
    tiers: Tiers,
    consuming: Arc<Keeper>,
    publishing: Arc<Keeper>,
    publisher: Arc<RabbitPublisher>,
    clock: Arc<dyn Clock>,
    closing: CancellationToken,
    /// One for each consumer.
    subscriptions: TaskTracker,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

impl RabbitQueue {
    /// Connects, and returns when both connections are up or the broker turned out to be unreachable, which
    /// heals by itself. `Fatal` for what does not: an unreadable URL, wrong credentials, a missing vhost.
    pub async fn connect(options: Options, tiers: Tiers, clock: Arc<dyn Clock>) -> Result<Arc<Self>, QueueError> {
        let address = Address::parse(&options.url)?;
        let (closing, stop) = (CancellationToken::new(), CancellationToken::new());
        let keep = |purpose| {
            Arc::new(Keeper::start(purpose, &options.role, address.clone(), clock.clone(), stop.child_token()))
        };
        let (publishing, consuming) = (keep(Purpose::Publish), keep(Purpose::Consume));
        let stop_when_dropped = stop.clone().drop_guard();
        tokio::try_join!(publishing.settled(), consuming.settled())?;
        let user = options.name_user.then(|| address.uri().authority.userinfo.username);
        let publisher = Arc::new(RabbitPublisher::new(publishing.clone(), tiers.clone(), user, closing.clone()));
        let subscriptions = TaskTracker::new();
        Ok(Arc::new(Self {
            tiers,
            consuming,
            publishing,
            publisher,
            clock,
            closing,
            subscriptions,
            stop,
            _stop_when_dropped: stop_when_dropped,
        }))
    }

    /// Whether every exchange and queue is there; their arguments and bindings take
    /// [`check`](crate::topology::check). `Fatal` names what is missing.
    pub async fn exists(&self) -> Result<(), QueueError> {
        for exchange in &Topology::new(&self.tiers).exchanges {
            let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
            let kind: ExchangeKind = exchange.kind.into();
            self.ask(async |channel| {
                channel.exchange_declare(exchange.name.into(), kind, passive, FieldTable::default()).await
            })
            .await?;
        }
        self.depths().await.map(drop)
    }

    /// Whether these tiers' queues are there, too (rule 26). `Fatal` names the one that is missing.
    pub async fn has_tiers(&self, tiers: &Tiers) -> Result<(), QueueError> {
        self.count(&Topology::new(tiers)).await.map(drop)
    }

    /// What waits in the queues of a topology; `Fatal` for one that is not there.
    async fn count(&self, topology: &Topology) -> Result<Vec<DepthRow>, QueueError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.ask(async |channel| {
            let mut rows = Vec::with_capacity(topology.queues.len());
            for queue in &topology.queues {
                let asked = channel.queue_declare(queue.name.as_str().into(), passive, FieldTable::default());
                let ready = asked.await?.message_count().into();
                rows.push(DepthRow { name: queue.label.clone(), ready });
            }
            Ok(rows)
        })
        .await
    }

    /// Asks on a channel of its own, which a refusal closes.
    async fn ask<T>(&self, question: impl AsyncFnOnce(&Channel) -> lapin::Result<T>) -> Result<T, QueueError> {
        if self.closing.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let link = self.consuming.link_within(ASK_TIMEOUT).await?;
        let answer = timeout(ASK_TIMEOUT, async {
            let channel = link.connection.create_channel().await?;
            question(&channel).await
        });
        match answer.await {
            Ok(answer) => answer.map_err(|error| match Fault::of(&error, &self.consuming.address) {
                Fault::Passing(sentence) => QueueError::Away(sentence),
                Fault::Lasting(sentence) => QueueError::Fatal(sentence),
            }),
            Err(_) => {
                Err(QueueError::Away(format!("{} did not answer within {ASK_TIMEOUT:?}", self.consuming.address)))
            }
        }
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    fn publisher(&self) -> Arc<dyn Publisher> {
        self.publisher.clone()
    }

    async fn consume(&self, source: Source, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        if self.closing.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let (keeper, clock) = (self.consuming.clone(), self.clock.clone());
        let started = RabbitConsumer::start(keeper, source, prefetch, clock, &self.closing, &self.subscriptions);
        Ok(Box::new(started.await))
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.publishing.link_within(ASK_TIMEOUT).await?;
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        self.ask(async |channel| {
            channel.exchange_declare(EVENTS.into(), ExchangeKind::Topic, passive, FieldTable::default()).await
        })
        .await
    }

    async fn depths(&self) -> Result<Vec<DepthRow>, QueueError> {
        self.count(&Topology::new(&self.tiers)).await
    }

    async fn close(&self) {
        self.closing.cancel();
        self.publisher.idle().await;
        // Before the connection: lapin takes a channel that closes within a closing connection for an error.
        self.subscriptions.close();
        let _ = timeout(UNSUBSCRIBE_TIMEOUT, self.subscriptions.wait()).await;
        self.stop.cancel();
        tokio::join!(self.publishing.closed(), self.consuming.closed());
    }
}
