//! What the cases are set in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use whimbrel_core::contract::ContractName;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::event::{Event, TraceContext};
use whimbrel_core::outcome::{Attempted, Fate, Outcome, Reply};
use whimbrel_core::port::{Clock as _, Fanout, Intake as _, Registry as _, SystemClock, Tenants as _};
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::tenant::{Tenant, TenantId};
use whimbrel_core::{EndpointId, EventId, ExecutionId, Timestamp};
use whimbrel_postgres::PostgresStore;

pub(crate) const DAY: Duration = Duration::from_hours(24);

/// To the millisecond, as ids have it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(SystemClock.now().as_millis() * 1_000)
}

/// The tenant of all cases.
pub(crate) fn tenant() -> TenantId {
    TenantId::default()
}

fn contract() -> Result<ContractName> {
    Ok("standard".parse()?)
}

/// An active endpoint of the tenant, which is made if it is not there.
pub(crate) async fn endpoint(store: &Arc<PostgresStore>) -> Result<Endpoint> {
    store.create_tenant(&Tenant::new(tenant(), contract()?, now())).await?;
    let endpoint = Endpoint::new(
        EndpointId::generate(now(), SystemClock.random10()),
        tenant(),
        contract()?,
        "https://receiver.example/".to_owned(),
        vec!["*".parse()?],
        SecretPair::new(Secret::new("a secret".to_owned())),
        now(),
    );
    store.create_endpoint(&endpoint, None).await?;
    Ok(endpoint)
}

/// An event that was accepted then, with one delivery in this state.
pub(crate) fn fanout(endpoint: &Endpoint, at: Timestamp, state: DeliveryState) -> Result<Fanout> {
    let id = EventId::generate(at, SystemClock.random10());
    let event = Event {
        id,
        tenant: tenant(),
        event_type: "order.created".parse()?,
        occurred_at: at,
        body: r#"{"data":{}}"#.into(),
        data_range: 8..10,
        trace: TraceContext::default(),
        only_endpoint: None,
    };
    Ok(Fanout { deliveries: vec![Delivery::new(id, endpoint.id, state)], event, sweep_at: at + DAY })
}

/// The same, stored.
pub(crate) async fn delivery(store: &Arc<PostgresStore>, endpoint: &Endpoint, at: Timestamp) -> Result<Delivery> {
    let fanout = fanout(endpoint, at, DeliveryState::Pending)?;
    store.accept(std::slice::from_ref(&fanout)).await?;
    Ok(fanout.deliveries[0])
}

/// A POST that was answered with 200.
pub(crate) fn success(delivery: &Delivery) -> Result<Outcome> {
    let reply = Reply::Response { status: 200, body: "thanks".into(), retry_after: None };
    let execution = ExecutionId::generate(now(), SystemClock.random10());
    let duration = Duration::from_millis(12);
    Ok(Outcome {
        delivery: delivery.id,
        event: delivery.event,
        endpoint: delivery.endpoint,
        round: delivery.round,
        attempt: delivery.attempt,
        contract: contract()?,
        trace: TraceContext::default(),
        fate: Fate::Attempted(Attempted { execution, started_at: now(), duration, reply }),
    })
}
