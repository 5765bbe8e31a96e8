//! What the cases are set in: tenants, endpoints, events, and outcomes to settle.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use whimbrel_core::contract::ContractName;
use whimbrel_core::delivery::{Attempt, Delivery, DeliveryRow, DeliveryState};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::outcome::{Attempted, ErrorKind, Fate, Outcome, Reply};
use whimbrel_core::port::{
    Accepted, ApiKey, Clock as _, Decision, DeliveryChange, EndpointChange, Facts, Fanout, Store, StoreError, Updated,
};
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{EndpointId, EventId, ExecutionId, KeyId, TenantId, Timestamp};

use super::{Fixture, TestClock};

/// A store, and the clock that the case lives by.
pub struct World {
    /// The engine under test.
    pub store: Arc<dyn Store>,
    /// The same store in another process, where there can be one.
    pub other: Arc<dyn Store>,
    /// Where times and ids come from.
    pub clock: TestClock,
}

impl World {
    /// Over an empty store.
    pub fn new(fixture: &impl Fixture) -> Self {
        Self { store: fixture.store(), other: fixture.other(), clock: TestClock::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A tenant `id` under the contract `standard`, without limits, not stored.
    pub(super) fn new_tenant(&self, id: &str) -> Tenant {
        Tenant::new(tenant_id(id), contract("standard"), self.now())
    }

    /// The same, stored.
    pub(super) async fn tenant(&self, id: &str) -> anyhow::Result<TenantId> {
        let tenant = self.new_tenant(id);
        ensure!(self.store.create_tenant(&tenant).await?, "the id `{id}` was taken in an empty store");
        Ok(tenant.id)
    }

    /// An active endpoint that wants everything, not stored.
    pub(super) fn new_endpoint(&self, tenant: &TenantId) -> Endpoint {
        let id = EndpointId::generate(self.now(), self.clock.random10());
        let url = format!("https://receiver.example/{id}");
        let events = vec!["*".parse().expect("a pattern")];
        let secrets = SecretPair::new(Secret::new(format!("secret of {id}")));
        Endpoint::new(id, tenant.clone(), contract("standard"), url, events, secrets, self.now())
    }

    /// The same, stored.
    pub(super) async fn endpoint(&self, tenant: &TenantId) -> anyhow::Result<Endpoint> {
        let endpoint = self.new_endpoint(tenant);
        ensure!(self.store.create_endpoint(&endpoint, None).await?, "there is no limit, but it was met");
        Ok(endpoint)
    }

    /// A tenant `acme` with one endpoint.
    pub(super) async fn acme(&self) -> anyhow::Result<(TenantId, Endpoint)> {
        let tenant = self.tenant("acme").await?;
        let endpoint = self.endpoint(&tenant).await?;
        Ok((tenant, endpoint))
    }

    /// An event, not stored.
    pub(super) fn event(&self, tenant: &TenantId, event_type: &str) -> Event {
        self.event_at(tenant, event_type, self.now())
    }

    /// An event that was accepted then, not stored.
    pub(super) fn event_at(&self, tenant: &TenantId, event_type: &str, at: Timestamp) -> Event {
        let id = EventId::generate(at, self.clock.random10());
        Event {
            id,
            tenant: tenant.clone(),
            event_type: EventType::try_new(event_type).expect("an event type"),
            occurred_at: at,
            body: Bytes::from(format!(r#"{{"type":"{event_type}","data":{{"id":"{id}"}}}}"#)),
            data_range: 9..20,
            trace: TraceContext::default(),
            only_endpoint: None,
        }
    }

    /// The fan-out of an event, pending at each of these endpoints.
    pub(super) fn fanout(&self, event: Event, endpoints: &[EndpointId]) -> Fanout {
        let deliveries = endpoints.iter().map(|endpoint| Delivery::new(event.id, *endpoint, DeliveryState::Pending));
        Fanout { deliveries: deliveries.collect(), event, sweep_at: self.now() + Duration::from_mins(5) }
    }

    /// Accepts one fan-out.
    pub(super) async fn accept(&self, fanout: &Fanout) -> anyhow::Result<Accepted> {
        let mut accepted = self.store.accept(std::slice::from_ref(fanout)).await?;
        ensure!(accepted.len() == 1, "{} answers for one event", accepted.len());
        accepted.pop().context("one answer")
    }

    /// A pending delivery of a new `order.created` to this endpoint, stored.
    pub(super) async fn delivery(&self, endpoint: &Endpoint) -> anyhow::Result<Delivery> {
        self.delivery_at(endpoint, self.now()).await
    }

    /// The same, of an event that was accepted then.
    pub(super) async fn delivery_at(&self, endpoint: &Endpoint, at: Timestamp) -> anyhow::Result<Delivery> {
        let fanout = self.fanout(self.event_at(&endpoint.tenant, "order.created", at), &[endpoint.id]);
        let accepted = self.accept(&fanout).await?;
        ensure!(accepted.pending == fanout.deliveries, "{:?} is pending of {:?}", accepted.pending, fanout.deliveries);
        Ok(fanout.deliveries[0])
    }

    /// A stored delivery in this state, awaiting (or having made) its first attempt.
    pub(super) async fn delivery_in(&self, endpoint: &Endpoint, state: DeliveryState) -> anyhow::Result<Delivery> {
        let delivery = Delivery { state, ..self.delivery(endpoint).await? };
        self.put(delivery).await?;
        Ok(delivery)
    }

    /// Writes a delivery as it is to be, through a settle that records no attempt.
    pub(super) async fn put(&self, delivery: Delivery) -> anyhow::Result<()> {
        let decision = Decision { deliveries: vec![self.change(delivery)], ..Decision::default() };
        let decide = |_: &Facts| decision.clone();
        self.store.settle(&[of(&delivery, 1, Fate::Deferred)], &decide).await?;
        Ok(())
    }

    /// A change to this delivery; a job is out when its state says so.
    pub(super) fn change(&self, delivery: Delivery) -> DeliveryChange {
        let has_job = matches!(delivery.state, DeliveryState::Pending | DeliveryState::Retrying { .. });
        let sweep_at = has_job.then(|| self.now() + Duration::from_mins(5));
        DeliveryChange { delivery, attempts_added: 0, last: None, sweep_at }
    }

    /// Where a delivery stands.
    pub(super) async fn position(&self, delivery: &Delivery) -> anyhow::Result<Delivery> {
        let positions = self.store.positions(&[delivery.id]).await?;
        positions.first().copied().with_context(|| format!("{} is not stored", delivery.id))
    }

    /// A delivery as the log shows it, with its attempts.
    pub(super) async fn logged(
        &self,
        tenant: &TenantId,
        delivery: &Delivery,
    ) -> anyhow::Result<(DeliveryRow, Vec<Attempt>)> {
        let found = self.store.delivery(tenant, delivery.id).await?;
        found.with_context(|| format!("{} is not in the log", delivery.id))
    }

    /// The stored endpoint.
    pub(super) async fn stored(&self, endpoint: &Endpoint) -> anyhow::Result<Endpoint> {
        let stored = self.store.endpoint(&endpoint.tenant, endpoint.id).await?;
        stored.with_context(|| format!("{} is not stored", endpoint.id))
    }

    /// The endpoint after a change.
    pub(super) async fn update(&self, endpoint: &Endpoint, change: &EndpointChange) -> anyhow::Result<Endpoint> {
        match self.store.update_endpoint(&endpoint.tenant, endpoint.id, change).await? {
            Updated::Done(updated) => Ok(*updated),
            other => bail!("{} was not changed: {other:?}", endpoint.id),
        }
    }

    /// A key of this tenant's or the admin's, not stored; its hash is `hash` 32 times.
    pub(super) fn new_key(&self, tenant: Option<&TenantId>, hash: u8) -> ApiKey {
        ApiKey {
            id: KeyId::generate(self.now(), self.clock.random10()),
            tenant: tenant.cloned(),
            name: format!("key {hash}"),
            hash: [hash; 32],
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
        }
    }

    /// The version of a tenant's endpoints.
    pub(super) async fn endpoints_version(&self, tenant: &TenantId) -> anyhow::Result<i64> {
        let heads = self.store.tenant_heads(std::slice::from_ref(tenant)).await?;
        Ok(heads.first().with_context(|| format!("{tenant} has no head"))?.endpoints_version)
    }

    /// A POST that was answered with 200.
    pub(super) fn success(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        let reply = Reply::Response { status: 200, body: Bytes::from_static(b"thanks"), retry_after: None };
        self.posted(delivery, attempt, reply)
    }

    /// A POST that timed out.
    pub(super) fn failure(&self, delivery: &Delivery, attempt: u32) -> Outcome {
        let reply = Reply::Error { kind: ErrorKind::Timeout, message: "no response within 5s".to_owned() };
        self.posted(delivery, attempt, reply)
    }

    /// A POST, of an execution of its own.
    pub(super) fn posted(&self, delivery: &Delivery, attempt: u32, reply: Reply) -> Outcome {
        let execution = ExecutionId::generate(self.now(), self.clock.random10());
        let duration = Duration::from_millis(12);
        of(delivery, attempt, Fate::Attempted(Attempted { execution, started_at: self.now(), duration, reply }))
    }
}

/// Calls as often as the store asks for it: losing a race is no fault.
pub(super) async fn insist<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    loop {
        match call().await {
            Err(StoreError::Away(_)) => tokio::task::yield_now().await,
            done => return done,
        }
    }
}

/// An outcome of this delivery's current round.
pub(super) fn of(delivery: &Delivery, attempt: u32, fate: Fate) -> Outcome {
    Outcome {
        delivery: delivery.id,
        event: delivery.event,
        endpoint: delivery.endpoint,
        round: delivery.round,
        attempt,
        contract: contract("standard"),
        trace: TraceContext::default(),
        fate,
    }
}

/// Decides to change nothing.
pub(super) fn nothing(_: &Facts) -> Decision {
    Decision::default()
}

pub(super) fn tenant_id(text: &str) -> TenantId {
    TenantId::try_new(text).expect("a tenant id")
}

pub(super) fn contract(text: &str) -> ContractName {
    ContractName::try_new(text).expect("a contract's name")
}

/// Deliveries in the order of their ids, for comparison.
pub(super) fn sorted(mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
    deliveries.sort_by_key(|delivery| delivery.id);
    deliveries
}
