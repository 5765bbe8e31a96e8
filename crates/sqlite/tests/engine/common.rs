//! An engine over a directory of its own, and messages for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use tempfile::TempDir;
use whimbrel_core::id::PackId;
use whimbrel_core::message::PROTOBUF;
use whimbrel_core::port::{Clock as _, Consumer, Message, Received, Route, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_sqlite::{Engine, OpenError, Options};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the engine over a directory.
pub(crate) async fn open_at(dir: &Path, options: Options) -> Result<Engine, OpenError> {
    let ring = KeyRing::parse(&format!("test:{}", "ab".repeat(32))).expect("a key ring");
    Engine::open(dir, options, Arc::new(ring), Arc::new(SystemClock)).await
}

/// An engine over a new directory, which lives as long as the first value.
pub(crate) async fn open(options: Options) -> anyhow::Result<(TempDir, Engine)> {
    let dir = tempfile::tempdir()?;
    let engine = open_at(dir.path(), options).await?;
    Ok((dir, engine))
}

pub(crate) fn message(route: Route, payload: impl Into<Bytes>) -> Message {
    Message {
        route,
        id: PackId::generate(SystemClock.now(), SystemClock.random10()),
        content_type: PROTOBUF.to_owned(),
        payload: payload.into(),
    }
}

/// Messages `from`, `from + 1`, … as texts.
pub(crate) fn numbered(route: &Route, from: usize, count: usize) -> Vec<Message> {
    (from..from + count).map(|number| message(route.clone(), number.to_string())).collect()
}

/// Receives `count` messages, no more.
pub(crate) async fn take(consumer: &mut dyn Consumer, count: usize) -> anyhow::Result<Vec<Received>> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = tokio::time::timeout(PATIENCE, consumer.receive(count - all.len()));
        all.extend(batch.await.with_context(|| format!("{} of {count} messages came", all.len()))??);
    }
    Ok(all)
}

pub(crate) fn texts(received: &[Received]) -> Vec<String> {
    received.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect()
}

pub(crate) fn numbers(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|number| number.to_string()).collect()
}
