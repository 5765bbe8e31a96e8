//! A broker with the topology, and queues on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use whimbrel_core::id::PackId;
use whimbrel_core::message::PROTOBUF;
use whimbrel_core::port::{Clock as _, Consumer, Message, QueueError, Received, Route, SystemClock};
use whimbrel_core::tier::Tiers;
use whimbrel_rabbitmq::{Options, RabbitQueue, Topology, topology};
use whimbrel_testkit::http;
use whimbrel_testkit::rabbitmq::{Vhost, vhost};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Two tiers beside the hops.
pub(crate) fn tiers() -> Tiers {
    Tiers::new([30, 300].map(Duration::from_secs))
}

/// Declares the topology in a vhost.
pub(crate) async fn declare(vhost: &Vhost) -> anyhow::Result<()> {
    http::install_tls();
    Ok(topology::declare(vhost.amqp_url(), &Topology::new(&tiers())).await?)
}

/// A vhost with the topology in it.
pub(crate) async fn declared() -> anyhow::Result<Vhost> {
    let vhost = vhost().await?;
    declare(&vhost).await?;
    Ok(vhost)
}

/// As a test.
pub(crate) fn options(url: &str) -> Options {
    Options { url: url.to_owned(), role: "test".to_owned(), name_user: false }
}

/// Connects as a test.
pub(crate) async fn connect(url: &str) -> Result<Arc<RabbitQueue>, QueueError> {
    http::install_tls();
    RabbitQueue::connect(options(url), tiers(), Arc::new(SystemClock)).await
}

/// A message with this text.
pub(crate) fn message(route: Route, text: &str) -> Message {
    Message {
        route,
        id: PackId::generate(SystemClock.now(), SystemClock.random10()),
        content_type: PROTOBUF.to_owned(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}

/// The next message, acked.
pub(crate) async fn next(consumer: &mut dyn Consumer) -> anyhow::Result<Received> {
    let mut batch = tokio::time::timeout(PATIENCE, consumer.receive(1)).await??;
    let received = batch.remove(0);
    consumer.acker().ack(&[received.tag]).await?;
    Ok(received)
}
