//! Messages to send and ways to wait for them, each with a deadline that names what did not come.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::time::timeout;
use whimbrel_core::id::PackId;
use whimbrel_core::message::PROTOBUF;
use whimbrel_core::port::{Clock as _, Consumer, Message, Publisher, Queue, Received, Route, Source, SystemClock};

/// How long anything may take that has no delay of its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long a silence must last to count as one. Only ever a bound on what must *not* come.
pub(super) const SILENCE: Duration = Duration::from_millis(300);

/// A message with this text, under a new id.
pub(super) fn message(route: Route, text: impl Into<String>) -> Message {
    Message {
        route,
        id: PackId::generate(SystemClock.now(), SystemClock.random10()),
        content_type: PROTOBUF.to_owned(),
        payload: Bytes::from(text.into()),
    }
}

/// The texts `0`, `1`, … of `count` messages.
pub(super) fn numbered(route: &Route, count: usize) -> Vec<Message> {
    (0..count).map(|number| message(route.clone(), number.to_string())).collect()
}

/// What [`numbered`] put into its messages, in order.
pub(super) fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// The payload as text.
pub(super) fn text(received: &Received) -> String {
    String::from_utf8_lossy(&received.payload).into_owned()
}

/// The payloads as texts, as they came.
pub(super) fn texts(received: &[Received]) -> Vec<String> {
    received.iter().map(text).collect()
}

/// The payloads as texts, each once.
pub(super) fn set(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(text).collect()
}

/// Publishes one message.
pub(super) async fn publish(publisher: &dyn Publisher, route: Route, text: &str) -> anyhow::Result<()> {
    publisher.publish(vec![message(route, text)]).await.with_context(|| format!("publishing `{text}`"))
}

/// Receives until there are `count` messages; more is an error.
pub(super) async fn take(consumer: &mut dyn Consumer, count: usize) -> anyhow::Result<Vec<Received>> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = timeout(PATIENCE, consumer.receive(count - all.len()))
            .await
            .with_context(|| format!("{} of {count} messages came within {PATIENCE:?}", all.len()))??;
        ensure!(!batch.is_empty(), "receive gave an empty batch");
        all.extend(batch);
    }
    ensure!(all.len() == count, "receive gave {} messages where {count} were asked for", all.len());
    Ok(all)
}

/// Receives one message and acks it.
pub(super) async fn take_and_ack(consumer: &mut dyn Consumer) -> anyhow::Result<Received> {
    let received = take(consumer, 1).await?.remove(0);
    consumer.acker().ack(&[received.tag]).await?;
    Ok(received)
}

/// Fails when a message comes.
pub(super) async fn nothing_comes(consumer: &mut dyn Consumer) -> anyhow::Result<()> {
    match timeout(SILENCE, consumer.receive(1)).await {
        Err(_) => Ok(()),
        Ok(received) => anyhow::bail!("nothing was to come, but {:?} did", texts(&received?)),
    }
}

/// Fails when the source holds anything: publishes a last message there and wants it to be the first.
pub(super) async fn is_empty(queue: &dyn Queue, source: Source, route: Route) -> anyhow::Result<()> {
    publish(&*queue.publisher(), route, "the end").await?;
    let mut consumer = queue.consume(source, 10).await?;
    let first = take_and_ack(&mut *consumer).await?;
    ensure!(text(&first) == "the end", "`{}` was still in {source:?}", text(&first));
    Ok(())
}
