//! Messages through a quorum queue, published as an upstream service publishes its events: to a topic exchange, with an
//! event's properties.

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind, PublisherConfirm};

use super::{Queue, quarter_ms};
use crate::load::event_properties;
use crate::meter::{float, float_of};
use crate::process::{self, Cpu};
use crate::receiver::Receiver;

const QUEUE: &str = "floor";
const EVENT_TYPE: &str = "bench.event";
const WINDOW: usize = 256;
const PREFETCH: u16 = 512;
/// Messages acked together, where the consumer acks with `multiple`.
const ACK_EVERY: usize = 16;
const SMALL_BYTES: usize = 1024;
const LARGE_BYTES: usize = 16 * 1024;

/// A queue with an exchange of the same name, its publisher and its consumer.
pub(super) struct Probe {
    name: &'static str,
    publish: Channel,
    consume: Channel,
    consumer: Consumer,
    broker: Option<i32>,
    _connections: [Connection; 2],
}

/// Small ones, large ones, and one at a time. Without the broker's process id its CPU is left out.
pub(super) async fn measure(url: &str, broker: Option<i32>, receiver: &Receiver, repeats: usize) -> Result<Queue> {
    let mut probe = Probe::open(url, QUEUE, broker).await?;
    let mut times = Vec::new();
    for _ in 0..repeats.min(100) {
        let begun = receiver.now_us();
        let confirm = probe.begin(&[0; SMALL_BYTES]).await?;
        let delivery = probe.consumer.next().await.context("the queue is gone")??;
        times.push(receiver.now_us() - begun);
        ensure!(confirm.await?.is_ack(), "a message was refused");
        ensure!(delivery.ack(BasicAckOptions::default()).await?, "an ack was not sent");
    }
    let (small, small_broker) = probe.flood(repeats, SMALL_BYTES, receiver).await?;
    let (large, large_broker) = probe.flood(repeats.div_ceil(4), LARGE_BYTES, receiver).await?;
    Ok(Queue {
        small_us: small + small_broker,
        small_broker_us: small_broker,
        large_us: large + large_broker,
        hop_ms: quarter_ms(times),
    })
}

impl Probe {
    pub(super) async fn open(url: &str, name: &'static str, broker: Option<i32>) -> Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let connections = [connect().await?, connect().await?];
        let publish = connections[0].create_channel().await?;
        let consume = connections[1].create_channel().await?;
        publish.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        publish.queue_declare(name.into(), durable, arguments).await?;
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        publish.exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let (all, bind) = ("#".into(), QueueBindOptions::default());
        publish.queue_bind(name.into(), name.into(), all, bind, FieldTable::default()).await?;
        consume.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let consumer =
            consume.basic_consume(name.into(), "floor".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = consumer.await?;
        Ok(Self { name, publish, consume, consumer, broker, _connections: connections })
    }

    async fn begin(&self, payload: &[u8]) -> lapin::Result<PublisherConfirm> {
        begin(&self.publish, self.name, payload).await
    }

    /// Publishes and consumes so many messages at the same time.
    pub(super) async fn pump(&mut self, count: usize, bytes: usize) -> Result<()> {
        let payload = vec![b'x'; bytes];
        let (published, consumed) = tokio::join!(
            publish(&self.publish, self.name, count, &payload),
            consume(&self.consume, &mut self.consumer, count)
        );
        published.and(consumed)
    }

    /// CPU microseconds a message: the client's and the broker's.
    async fn flood(&mut self, count: usize, bytes: usize, receiver: &Receiver) -> Result<(f64, f64)> {
        let broker = self.broker;
        let cpu = || (process::own_cpu(), broker.map_or_else(Cpu::default, process::tree_cpu), receiver.cpu_us());
        let before = cpu();
        self.pump(count, bytes).await?;
        let after = cpu();
        let client = after.0.since(before.0).saturating_sub(after.2 - before.2);
        let each = |us: u64| float(us) / float_of(count);
        Ok((each(client), each(after.1.since(before.1))))
    }
}

async fn begin(channel: &Channel, exchange: &str, payload: &[u8]) -> lapin::Result<PublisherConfirm> {
    let (options, properties) = (BasicPublishOptions::default(), event_properties("floor-1", EVENT_TYPE));
    channel.basic_publish(exchange.into(), EVENT_TYPE.into(), options, payload, properties).await
}

async fn publish(channel: &Channel, exchange: &str, count: usize, payload: &[u8]) -> Result<()> {
    let mut confirms = FuturesUnordered::new();
    for _ in 0..count {
        if confirms.len() == WINDOW {
            let confirmed: Option<lapin::Result<lapin::Confirmation>> = confirms.next().await;
            ensure!(confirmed.transpose()?.is_some_and(|confirmed| confirmed.is_ack()), "a message was refused");
        }
        confirms.push(begin(channel, exchange, payload).await?);
    }
    while let Some(confirmed) = confirms.next().await {
        ensure!(confirmed?.is_ack(), "a message was refused");
    }
    Ok(())
}

async fn consume(channel: &Channel, consumer: &mut Consumer, count: usize) -> Result<()> {
    for number in 1..=count {
        let delivery = consumer.next().await.context("the queue is gone")??;
        if number % ACK_EVERY == 0 || number == count {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}
