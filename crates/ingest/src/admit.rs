//! Incoming events → events that are accepted: tenant, contract, idempotency key, rendered body.

use std::time::Duration;

use whimbrel_core::contract::{Contract, ContractSet};
use whimbrel_core::event::Event;
use whimbrel_core::intake::{IDEMPOTENCY_WINDOW, Window, check_payload, content_hash, render_within, validate};
use whimbrel_core::port::{Claim, Claimed, Clock, Intake, StoreError};
use whimbrel_core::problem::Rejection;
use whimbrel_core::render::Rendered;
use whimbrel_core::tenant::TenantHead;
use whimbrel_core::{EventId, Timestamp};

use crate::directory::{Known, Tenants};
use crate::read::Incoming;

/// An event with the id it would get, and what became of it so far.
type Candidate = Result<Event, Rejection>;

/// Checks each against its tenant's contract and renders its body.
pub(crate) fn check(
    incoming: &[Result<Incoming, Rejection>],
    tenants: &Tenants,
    contracts: &ContractSet,
    retention: Duration,
    clock: &dyn Clock,
) -> Vec<Candidate> {
    let window = Window { now: clock.now(), retention };
    let check = |incoming: &Result<Incoming, Rejection>| {
        let incoming = incoming.as_ref().map_err(Clone::clone)?;
        let Some((head, known)) = tenants.get(&incoming.tenant) else {
            return Err(Rejection::new(
                "unknown_tenant",
                "/tenant",
                format!("there is no tenant `{}`", incoming.tenant),
            ));
        };
        let Some(contract) = contracts.get(&head.contract) else {
            let message = format!("the contract `{}` of the tenant `{}` is not loaded", head.contract, head.id);
            return Err(Rejection::new("unknown_contract", "", message));
        };
        let event = event(incoming, contract, window, clock)?;
        own_rules(incoming, event, head, known)
    };
    incoming.iter().map(check).collect()
}

fn event(incoming: &Incoming, contract: &Contract, window: Window, clock: &dyn Clock) -> Result<Event, Rejection> {
    let event = &incoming.event;
    let occurred_at = event.occurred_at.unwrap_or(window.now);
    // The API has checked its own already; a test event is not even publishable by others.
    let id = incoming.id.unwrap_or_else(|| EventId::generate(window.now, clock.random10()));
    let rendered = match incoming.id {
        Some(_) => render_within(contract, id, &event.event_type, occurred_at, &event.data)?,
        None => validate(contract, id, &event.event_type, &event.data, occurred_at, window)?,
    };
    Ok(accepted(incoming, id, occurred_at, rendered))
}

/// What the tenant itself asks for, besides its contract: a limit for payloads, and schemas. The API has checked its
/// own events already, and what was accepted once is not refused for a change made since.
fn own_rules(incoming: &Incoming, event: Event, head: &TenantHead, known: &Known) -> Candidate {
    if incoming.id.is_some() {
        return Ok(event);
    }
    check_payload(head.limits, event.body.len())?;
    if let Some(schema) = known.schemas.get(&event.event_type) {
        schema.validate(&incoming.event.data)?;
    }
    Ok(event)
}

fn accepted(incoming: &Incoming, id: EventId, occurred_at: Timestamp, rendered: Rendered) -> Event {
    Event {
        id,
        tenant: incoming.tenant.clone(),
        event_type: incoming.event.event_type.clone(),
        occurred_at,
        body: rendered.body,
        data_range: rendered.data_range,
        trace: incoming.event.trace.clone(),
        only_endpoint: incoming.only_endpoint,
    }
}

/// Claims the keys of upstream's own events: a repeat takes the id of its first time (and is rendered
/// again, for the id may stand in the body); other content under a used key is rejected.
pub(crate) async fn claim(
    store: &dyn Intake,
    incoming: &[Result<Incoming, Rejection>],
    candidates: &mut [Candidate],
    tenants: &Tenants,
    contracts: &ContractSet,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut places = Vec::new();
    let mut claims = Vec::new();
    for (place, (incoming, candidate)) in incoming.iter().zip(candidates.iter()).enumerate() {
        if let (Ok(Incoming { event, tenant, .. }), Ok(accepted)) = (incoming, candidate)
            && let Some(key) = &event.key
        {
            places.push(place);
            claims.push(Claim {
                tenant: tenant.clone(),
                key_hash: key.hash(),
                content_hash: content_hash(&event.event_type, &event.data),
                event: accepted.id,
                expires_at: now + IDEMPOTENCY_WINDOW,
            });
        }
    }
    if claims.is_empty() {
        return Ok(());
    }
    let claimed = store.claim(&claims, now).await?;
    for (place, claimed) in places.into_iter().zip(claimed) {
        match claimed {
            Claimed::Fresh => {}
            Claimed::Repeat(id) => candidates[place] = renamed(&incoming[place], id, tenants, contracts, now),
            Claimed::Conflict => {
                let message = "the same id came before with another type or other data";
                candidates[place] = Err(Rejection::new("conflict", "", message));
            }
        }
    }
    Ok(())
}

fn renamed(
    incoming: &Result<Incoming, Rejection>,
    id: EventId,
    tenants: &Tenants,
    contracts: &ContractSet,
    now: Timestamp,
) -> Candidate {
    let incoming = incoming.as_ref().map_err(Clone::clone)?;
    let event = &incoming.event;
    let contract = tenants.get(&incoming.tenant).and_then(|(head, _)| contracts.get(&head.contract));
    let contract =
        contract.ok_or_else(|| Rejection::new("unknown_contract", "", "the tenant's contract is not loaded"))?;
    let occurred_at = event.occurred_at.unwrap_or(now);
    let rendered = render_within(contract, id, &event.event_type, occurred_at, &event.data)?;
    Ok(accepted(incoming, id, occurred_at, rendered))
}
