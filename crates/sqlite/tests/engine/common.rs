//! An engine over a directory of its own, and messages for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tempfile::TempDir;
use whimbrel_core::contract::ContractName;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::id::PackId;
use whimbrel_core::message::PROTOBUF;
use whimbrel_core::port::{
    Clock as _, Consumer, Decision, DeliveryChange, Facts, Fanout, Message, Queue, Received, Route, Store, SystemClock,
};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{EndpointId, EventId, TenantId, Timestamp};
use whimbrel_sqlite::{Engine, OpenError, Options};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the engine over a directory.
pub(crate) async fn open_at(dir: &Path, options: Options) -> Result<Engine, OpenError> {
    let ring = KeyRing::parse(&format!("test:{}", "ab".repeat(32))).expect("a key ring");
    Engine::open(dir, options, Arc::new(ring), Arc::new(SystemClock)).await
}

/// Closes an engine, so that its files are as they stay.
pub(crate) async fn close(engine: Engine) {
    engine.store().close().await;
    engine.queue().close().await;
}

/// An engine over a new directory, which lives as long as the first value.
pub(crate) async fn open(options: Options) -> anyhow::Result<(TempDir, Engine)> {
    let dir = tempfile::tempdir()?;
    let engine = open_at(dir.path(), options).await?;
    Ok((dir, engine))
}

/// A tenant under the contract `standard`, not stored.
pub(crate) fn tenant(id: &str) -> anyhow::Result<Tenant> {
    Ok(Tenant::new(TenantId::try_new(id)?, ContractName::try_new("standard")?, SystemClock.now()))
}

/// An active endpoint that wants everything, not stored.
pub(crate) fn endpoint(tenant: &TenantId) -> anyhow::Result<Endpoint> {
    let now = SystemClock.now();
    let id = EndpointId::generate(now, SystemClock.random10());
    let (contract, secrets) = (ContractName::try_new("standard")?, SecretPair::new(Secret::new("a secret")));
    let (url, events) = ("https://receiver.example".to_owned(), vec!["*".parse()?]);
    Ok(Endpoint::new(id, tenant.clone(), contract, url, events, secrets, now))
}

/// A tenant `acme` with one endpoint, stored.
pub(crate) async fn acme(store: &dyn Store) -> anyhow::Result<Endpoint> {
    let tenant = tenant("acme")?;
    anyhow::ensure!(store.create_tenant(&tenant).await?, "the id is taken");
    let endpoint = endpoint(&tenant.id)?;
    anyhow::ensure!(store.create_endpoint(&endpoint, None).await?, "there is no limit");
    Ok(endpoint)
}

/// An event of this time, on its way to an endpoint in this state.
pub(crate) fn fanout(endpoint: &Endpoint, at: Timestamp, body: impl Into<Bytes>, state: DeliveryState) -> Fanout {
    let (id, body) = (EventId::generate(at, SystemClock.random10()), body.into());
    let event = Event {
        id,
        tenant: endpoint.tenant.clone(),
        event_type: "order.created".parse().expect("an event type"),
        occurred_at: at,
        data_range: 0..body.len(),
        body,
        trace: TraceContext::default(),
        only_endpoint: None,
    };
    Fanout { event, deliveries: vec![Delivery::new(id, endpoint.id, state)], sweep_at: at + PATIENCE }
}

/// Stores events whose deliveries have come further than new ones have.
pub(crate) async fn store_as_they_are(store: &dyn Store, fanouts: &[Fanout]) -> anyhow::Result<()> {
    let new = |delivery: &Delivery| Delivery { state: DeliveryState::Pending, ..*delivery };
    let accepted =
        |fanout: &Fanout| Fanout { deliveries: fanout.deliveries.iter().map(new).collect(), ..fanout.clone() };
    store.accept(&fanouts.iter().map(accepted).collect::<Vec<_>>()).await?;
    let further = fanouts.iter().flat_map(|fanout| &fanout.deliveries).filter(|delivery| **delivery != new(delivery));
    let change =
        |delivery: &Delivery| DeliveryChange { delivery: *delivery, attempts_added: 0, last: None, sweep_at: None };
    let decision = Decision { deliveries: further.map(change).collect(), ..Decision::default() };
    store.settle(&[], &|_: &Facts| decision.clone()).await?;
    Ok(())
}

/// A connection of its own to the database of a directory.
pub(crate) async fn look_into(dir: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(dir.join("whimbrel.db")).create_if_missing(true);
    Ok(SqliteConnection::connect_with(&options).await?)
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

/// Fails while something waits in a queue.
pub(crate) async fn ensure_empty(queue: &dyn Queue) -> anyhow::Result<()> {
    let depths = queue.depths().await?;
    anyhow::ensure!(depths.iter().all(|row| row.ready == 0), "{depths:?}");
    Ok(())
}

pub(crate) fn texts(received: &[Received]) -> Vec<String> {
    received.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect()
}

pub(crate) fn numbers(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|number| number.to_string()).collect()
}
