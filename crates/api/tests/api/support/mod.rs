//! The API over a fresh embedded engine, under a clock that tests move.

mod call;
mod held;
mod routes;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use serde_json::{Value, json};
use whimbrel_api::{ApiState, OpsState, Outlet, Settings};
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::intake::{event_type, render_within};
use whimbrel_core::judge::{Judged, judge};
use whimbrel_core::outcome::{self, Attempted, ErrorKind, Fate, Outcome};
use whimbrel_core::port::{
    Clock, Decision, DeliveryChange, Facts, Fanout, Parking, Publisher, Queue, Source, Store, SystemClock,
};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{DeliveryId, EndpointId, EventId, ExecutionId, TenantId, Timestamp};
use whimbrel_sqlite::{Engine, Options};

pub(crate) use call::{Answer, Call};
pub(crate) use routes::{Route, every_route, routes};
use stream::{Notices, Stream};

/// Events share messages, and none rests.
const PACKS: Option<Duration> = Some(Duration::ZERO);
/// The admin key.
pub(crate) const ADMIN: &str = "whk_admin";
/// When every test begins: 2026-01-15T12:00:00Z.
pub(crate) const NOW_MS: i64 = 1_768_478_400_000;

/// A clock that stands still until it is moved.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst) * 1_000)
    }

    fn fill(&self, bytes: &mut [u8]) {
        SystemClock.fill(bytes);
    }
}

/// What a receiver answered.
pub(crate) enum Reply {
    Status(u16, &'static [u8]),
    Timeout,
}

/// A running API.
pub(crate) struct Api {
    pub(crate) state: ApiState,
    pub(crate) clock: Arc<TestClock>,
    /// The process's own clock, as the operations port has it; the store goes by the other one.
    pub(crate) own_clock: Arc<TestClock>,
    pub(crate) queue: Arc<dyn Queue>,
    router: Router,
    ops: Router,
    _dir: tempfile::TempDir,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(NOW_MS)));
        let (store, queue, parking) = open(dir.path(), clock.clone()).await;
        let tenant = Tenant::new(TenantId::default(), "standard".parse().unwrap(), clock.now());
        assert!(store.create_tenant(&tenant).await.unwrap());
        let mut settings = Settings::new(Some(ADMIN));
        change(&mut settings);
        let state = ApiState {
            store: store.clone(),
            outlet: Outlet::new(queue.publisher(), clock.clone(), PACKS),
            parking,
            contracts: Arc::new(ContractSet::built_in()),
            clock: clock.clone(),
            settings: Arc::new(settings),
            memory: Arc::default(),
        };
        let metrics = Arc::new(|| "whimbrel_test 1\n".to_owned());
        let own_clock = Arc::new(TestClock(AtomicI64::new(NOW_MS)));
        let ops = whimbrel_api::ops_router(OpsState { store, queue: queue.clone(), clock: own_clock.clone(), metrics });
        Self { router: whimbrel_api::router(state.clone()), state, clock, own_clock, queue, ops, _dir: dir }
    }

    /// The same API with another way to the queue.
    pub(crate) fn with_publisher(&self, publisher: impl Publisher + 'static) -> Router {
        let outlet = Outlet::new(Arc::new(publisher), self.clock.clone(), PACKS);
        whimbrel_api::router(ApiState { outlet, ..self.state.clone() })
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        Answer::of(self.router.clone(), call).await
    }

    pub(crate) async fn send_ops(&self, call: Call) -> Answer {
        Answer::of(self.ops.clone(), call).await
    }

    /// Makes a tenant and a key of its own.
    pub(crate) async fn tenant(&self, id: &str, contract: &str) -> String {
        let body = json!({"id": id, "contract": contract});
        self.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.expect(201);
        let made =
            self.send(Call::post(&format!("/v1/tenants/{id}/keys")).key(ADMIN).json(&json!({}))).await.expect(201);
        made["key"].as_str().unwrap().to_owned()
    }

    /// Changes a tenant.
    pub(crate) async fn patch_tenant(&self, id: &str, body: Value) -> Value {
        self.send(Call::new("PATCH", &format!("/v1/tenants/{id}")).key(ADMIN).json(&body)).await.expect(200)
    }

    pub(crate) async fn webhook(&self, key: &str, body: Value) -> Value {
        self.send(Call::post("/v1/webhooks").key(key).json(&body)).await.expect(201)
    }

    /// The secrets that sign now: the current one, and the one before while it is valid.
    pub(crate) async fn secrets(&self, id: &str) -> (String, Option<String>) {
        let endpoint = self.state.store.endpoints(&[id.parse().unwrap()]).await.unwrap().remove(0);
        let previous = endpoint.secrets.previous_at(self.clock.now()).map(|secret| secret.expose().to_owned());
        (endpoint.secrets.current.expose().to_owned(), previous)
    }

    /// Events as ingest would receive them.
    pub(crate) async fn events(&self) -> Stream {
        Stream::open(&*self.queue, Source::Events).await
    }

    /// Notices from now on.
    pub(crate) async fn notices(&self) -> Notices {
        Notices(Stream::open(&*self.queue, Source::Notices).await)
    }

    /// Stores an event as ingest does, for these endpoints.
    pub(crate) async fn stored_event(&self, tenant: &str, kind: &str, data: &str, endpoints: &[EndpointId]) -> EventId {
        let now = self.clock.now();
        let tenant = self.state.store.tenant(&tenant.parse().unwrap()).await.unwrap().unwrap();
        let contract = self.state.contracts.get(&tenant.contract).unwrap();
        let id = EventId::generate(now, self.clock.random10());
        let kind = event_type(kind).unwrap();
        let rendered = render_within(contract, id, &kind, now, &Bytes::copy_from_slice(data.as_bytes())).unwrap();
        let event = Event {
            id,
            tenant: tenant.id,
            event_type: kind,
            occurred_at: now,
            body: rendered.body,
            data_range: rendered.data_range,
            trace: TraceContext::default(),
            only_endpoint: None,
        };
        let deliveries =
            endpoints.iter().map(|endpoint| Delivery::new(id, *endpoint, DeliveryState::Pending)).collect();
        self.state.store.accept(&[Fanout { event, deliveries, sweep_at: now }]).await.unwrap();
        id
    }

    /// A delivery to this endpoint with these attempts, as the tracker records them.
    pub(crate) async fn delivered(&self, endpoint: &str, replies: &[Reply]) -> DeliveryId {
        let endpoint: EndpointId = endpoint.parse().unwrap();
        let tenant = self.state.store.endpoints(&[endpoint]).await.unwrap().remove(0).tenant;
        let event = self.stored_event(tenant.as_str(), "user.created", r#"{"id":"user_123"}"#, &[endpoint]).await;
        for (place, reply) in (1..).zip(replies) {
            self.settle(event, endpoint, place, reply).await;
        }
        DeliveryId::of(event, endpoint)
    }

    async fn settle(&self, event: EventId, endpoint: EndpointId, attempt: u32, reply: &Reply) {
        let now = self.clock.now();
        let contract = self.state.contracts.get(&"generic".parse().unwrap()).unwrap();
        let (duration, reply) = match reply {
            Reply::Status(status, body) => {
                let body = Bytes::from_static(body);
                (Duration::from_millis(7), outcome::Reply::Response { status: *status, body, retry_after: None })
            }
            Reply::Timeout => {
                let message = "no response within 30s".to_owned();
                (contract.timeout(), outcome::Reply::Error { kind: ErrorKind::Timeout, message })
            }
        };
        let execution = ExecutionId::generate(now, self.clock.random10());
        let made = Outcome {
            delivery: DeliveryId::of(event, endpoint),
            event,
            endpoint,
            round: 1,
            attempt,
            contract: contract.name().clone(),
            trace: TraceContext::default(),
            fate: Fate::Attempted(Attempted { execution, started_at: now, duration, reply }),
        };
        let last = made.attempt_row().map(|row| (row.status_code, row.error));
        let decide = |facts: &Facts| {
            let delivery = facts.deliveries[&made.delivery];
            let active = Judged { status: EndpointStatus::Active, retry_delays: None };
            let verdict = judge(&delivery, &made, facts.seen[0], contract, Some(active), now, 0.0);
            let change =
                DeliveryChange { delivery: verdict.delivery, attempts_added: 1, last: last.clone(), sweep_at: None };
            Decision { deliveries: vec![change], ..Decision::default() }
        };
        self.state.store.settle(std::slice::from_ref(&made), &decide).await.unwrap();
    }

    /// Closes the engine under the running API.
    pub(crate) async fn close(&self) {
        self.queue.close().await;
        self.state.store.close().await;
    }
}

/// A fresh engine.
async fn open(dir: &Path, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Arc<dyn Queue>, Arc<dyn Parking>) {
    let ring = KeyRing::parse(&KeyRing::generate_entry(&*clock)).unwrap();
    let engine = Engine::open(dir, Options::default(), Arc::new(ring), clock).await.unwrap();
    (engine.store(), engine.queue(), engine.parking())
}
