//! The API over a fresh embedded engine, under a clock that tests move.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use whimbrel_api::{ApiState, OpsState, Settings};
use whimbrel_core::contract::ContractSet;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::intake::{event_type, render_within};
use whimbrel_core::judge::judge;
use whimbrel_core::message::{decode, v1};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::outcome::{self, Attempted, ErrorKind, Fate, Outcome};
use whimbrel_core::port::{Clock, Consumer, Decision, DeliveryChange, Facts, Fanout, Publisher, Queue, Source, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{DeliveryId, EndpointId, EventId, ExecutionId, TenantId, Timestamp};
use whimbrel_sqlite::{Engine, Options};

/// The admin key.
pub(crate) const ADMIN: &str = "whk_admin";
/// When every test begins: 2026-01-15T12:00:00Z.
pub(crate) const NOW_MS: i64 = 1_768_478_400_000;
/// A test that waits longer than this fails.
const PATIENCE: Duration = Duration::from_secs(10);

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
    queue: Arc<dyn Queue>,
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
        let (store, queue) = open(dir.path(), clock.clone()).await;
        let tenant = Tenant {
            id: TenantId::default(),
            name: None,
            contract: "standard".parse().unwrap(),
            created_at: clock.now(),
        };
        assert!(store.create_tenant(&tenant).await.unwrap());
        let mut settings = Settings::new(Some(ADMIN));
        change(&mut settings);
        let state = ApiState {
            store: store.clone(),
            publisher: queue.publisher(),
            contracts: Arc::new(ContractSet::built_in()),
            clock: clock.clone(),
            settings: Arc::new(settings),
        };
        let metrics = Arc::new(|| "whimbrel_test 1\n".to_owned());
        let ops = whimbrel_api::ops_router(OpsState { store, queue: queue.clone(), metrics });
        Self { router: whimbrel_api::router(state.clone()), state, clock, queue, ops, _dir: dir }
    }

    /// The same API with another way to the queue.
    pub(crate) fn with_publisher(&self, publisher: impl Publisher + 'static) -> Router {
        whimbrel_api::router(ApiState { publisher: Arc::new(publisher), ..self.state.clone() })
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
        let made = self.send(Call::post(&format!("/v1/tenants/{id}/keys")).key(ADMIN).json(&json!({}))).await.expect(201);
        made["key"].as_str().unwrap().to_owned()
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
        let deliveries = endpoints.iter().map(|endpoint| Delivery::new(id, *endpoint, DeliveryState::Pending)).collect();
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
            let verdict = judge(&delivery, &made, facts.seen[0], contract, Some(EndpointStatus::Active), now, 0.0);
            let change = DeliveryChange { delivery: verdict.delivery, attempts_added: 1, last: last.clone(), sweep_at: None };
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

/// A request.
pub(crate) struct Call {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: Body::empty() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw("application/json", &body.to_string())
    }

    pub(crate) fn raw(self, content_type: &str, body: &str) -> Self {
        let call = if content_type.is_empty() { self } else { self.with("content-type", content_type) };
        let call = call.with("content-length", &body.len().to_string());
        Self { body: Body::from(body.to_owned()), ..call }
    }

    /// Like [`Self::raw`], in chunks and without a length.
    pub(crate) fn streamed(self, content_type: &str, body: &str) -> Self {
        let chunks: Vec<Result<Bytes, std::io::Error>> =
            body.as_bytes().chunks(4096).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Self { body: Body::from_stream(futures::stream::iter(chunks)), ..self.with("content-type", content_type) }
    }
}

impl Call {
    /// A body that never ends.
    pub(crate) fn stalled(self, content_type: &str) -> Self {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        Self { body, ..self.with("content-type", content_type) }
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) async fn of(router: Router, call: Call) -> Self {
        let mut request = Request::builder().method(call.method.as_str()).uri(&call.path);
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let response = router.oneshot(request.body(call.body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The header, or nothing.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem document of an answer with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is missing: {problem}");
        }
        problem
    }
}

/// Messages of one source, in order.
pub(crate) struct Stream {
    consumer: Box<dyn Consumer>,
    waiting: std::collections::VecDeque<Bytes>,
}

impl Stream {
    async fn open(queue: &dyn Queue, source: Source) -> Self {
        Self { consumer: queue.consume(source, 2_000).await.unwrap(), waiting: std::collections::VecDeque::new() }
    }

    async fn payload(&mut self) -> Bytes {
        while self.waiting.is_empty() {
            let received = tokio::time::timeout(PATIENCE, self.consumer.receive(2_000)).await.expect("a message comes");
            self.waiting.extend(received.unwrap().into_iter().map(|received| received.payload));
        }
        self.waiting.pop_front().unwrap()
    }

    pub(crate) async fn next(&mut self) -> Published {
        Published(decode("Event", self.payload().await).unwrap())
    }
}

/// An event on the queue.
pub(crate) struct Published(v1::Event);

impl std::ops::Deref for Published {
    type Target = v1::Event;

    fn deref(&self) -> &v1::Event {
        &self.0
    }
}

impl Published {
    pub(crate) fn event_id(&self) -> EventId {
        EventId::from_slice(&self.0.id).unwrap()
    }

    pub(crate) fn only(&self) -> Option<EndpointId> {
        EndpointId::from_slice(&self.0.only_endpoint).ok()
    }
}

/// Notices, in order.
pub(crate) struct Notices(Stream);

impl Notices {
    pub(crate) async fn next(&mut self) -> Notice {
        Notice(decode("Notice", self.0.payload().await).unwrap())
    }
}

/// A notice.
pub(crate) struct Notice(v1::Notice);

impl std::ops::Deref for Notice {
    type Target = v1::Notice;

    fn deref(&self) -> &v1::Notice {
        &self.0
    }
}

impl Notice {
    pub(crate) fn endpoint(&self) -> String {
        EndpointId::from_slice(&self.0.endpoint_id).unwrap().to_string()
    }
}

/// Every method and address of the document, as written there.
pub(crate) fn template_routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(whimbrel_api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The same with ids that name nothing.
pub(crate) fn every_route() -> Vec<(String, String)> {
    let fill = |path: String| {
        let prefix = match path.split('/').nth(2) {
            Some("webhooks") => "hook_",
            Some("events") => "evt_",
            Some("deliveries") => "del_",
            Some("keys") => "key_",
            _ => "",
        };
        path.replace("{id}", &format!("{prefix}01jb3h2k9fe8yaw3cvj6s5n7qt"))
    };
    template_routes().into_iter().map(|(method, path)| (method, fill(path))).collect()
}

/// A fresh engine.
async fn open(dir: &Path, clock: Arc<dyn Clock>) -> (Arc<dyn Store>, Arc<dyn Queue>) {
    let ring = KeyRing::parse(&KeyRing::generate_entry(&*clock)).unwrap();
    let engine = Engine::open(dir, Options::default(), Arc::new(ring), clock).await.unwrap();
    (engine.store(), engine.queue())
}
