//! An admitted event → its rendered body and one delivery per subscribed endpoint.

use std::cell::LazyCell;
use std::sync::Arc;

use whimbrel_core::contract::ContractName;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::{EndpointStatus, Subscriber};
use whimbrel_core::event::Event;
use whimbrel_core::message::{Body, Job};
use whimbrel_core::port::{Accepted, Fanout};
use whimbrel_core::{EndpointId, Timestamp};

use crate::roster::Roster;

/// The deliveries of an event, but for `except`, which it is about.
fn deliveries(event: &Event, roster: &Roster, except: Option<EndpointId>) -> Vec<Delivery> {
    let delivery = |subscriber: &Subscriber| {
        let state = if subscriber.status.is_active() { DeliveryState::Pending } else { DeliveryState::Held };
        Delivery::new(event.id, subscriber.id, state)
    };
    if let Some(only) = event.only_endpoint {
        let wanted = roster.get(only).filter(|subscriber| subscriber.status != EndpointStatus::Disabled);
        return wanted.map(delivery).into_iter().collect();
    }
    // Parsed once, and only when a filter asks.
    let data = LazyCell::new(|| {
        let raw = event.body.get(event.data_range.clone()).unwrap_or_default();
        serde_json::from_slice::<serde_json::Value>(raw).ok()
    });
    let passes = |subscriber: &&Subscriber| match &subscriber.filter {
        Some(filter) => data.as_ref().is_some_and(|data| filter.matches_value(data)),
        None => true,
    };
    let others = roster.wanting(&event.event_type).filter(|subscriber| except != Some(subscriber.id));
    others.filter(passes).map(delivery).collect()
}

/// For the store; `None` for an event of Whimbrel's own that nobody asked for.
pub(crate) fn fanout(event: Event, roster: &Roster, except: Option<EndpointId>, sweep_at: Timestamp) -> Option<Fanout> {
    let deliveries = deliveries(&event, roster, except);
    let unheard = deliveries.is_empty() && event.event_type.is_system() && event.only_endpoint.is_none();
    (!unheard).then_some(Fanout { event, deliveries, sweep_at })
}

/// The first attempts of what was accepted, for the queue.
pub(crate) fn jobs<'a>(
    fanout: &'a Fanout,
    accepted: &'a Accepted,
    contract: &'a ContractName,
    roster: &'a Roster,
) -> impl Iterator<Item = Job> + 'a {
    let event = &fanout.event;
    let body = Arc::new(Body {
        event: event.id,
        event_type: event.event_type.to_string(),
        occurred_at: event.occurred_at,
        bytes: event.body.clone(),
        trace: event.trace.clone(),
    });
    accepted.pending.iter().map(move |delivery| Job {
        delivery: delivery.id,
        endpoint: delivery.endpoint,
        body: body.clone(),
        round: delivery.round,
        attempt: delivery.attempt,
        contract: contract.clone(),
        endpoint_version: roster.get(delivery.endpoint).map_or(0, |subscriber| subscriber.version),
        not_before: None,
        hops: 0,
        jitter: std::time::Duration::ZERO,
        trace: event.trace.clone(),
    })
}
