//! Deliveries → job packs on the queue. The bodies come from the store: only failures pass here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::event::TraceContext;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{Body, Job, PROTOBUF, encode_jobs};
use whimbrel_core::port::{Clock, Lane, Message, Route, ToPublish};
use whimbrel_core::tier::{Tier, Tiers};
use whimbrel_core::{EventId, Timestamp};

/// A delivery to publish, and how.
pub(crate) struct Ready {
    pub(crate) what: ToPublish,
    pub(crate) lane: Lane,
    pub(crate) at: Option<Timestamp>,
    pub(crate) jitter: Duration,
    /// The attempt it comes after, if that is known; else the job goes on from the event.
    pub(crate) after: Option<TraceContext>,
}

/// The jobs' messages, packed per lane and tier.
pub(crate) fn job_messages(clock: &dyn Clock, tiers: &Tiers, ready: Vec<Ready>) -> Vec<Message> {
    let now = clock.now();
    let mut bodies: HashMap<EventId, Arc<Body>> = HashMap::new();
    let mut groups: HashMap<(Lane, Option<Tier>), Vec<Job>> = HashMap::new();
    for Ready { what, lane, at, jitter, after } in ready {
        let tier = at.map(|at| at.since(now)).filter(|wait| !wait.is_zero()).map(|wait| tiers.hop(wait));
        groups.entry((lane, tier)).or_default().push(Job { not_before: at, jitter, ..job(what, after, &mut bodies) });
    }
    let messages = groups.into_iter().flat_map(|((lane, tier), jobs)| {
        let route = tier.map_or(Route::Jobs(lane), |tier| Route::Delay(tier, lane));
        encode_jobs(&jobs).into_iter().map(move |payload| (route.clone(), payload))
    });
    messages
        .map(|(route, payload)| Message {
            route,
            id: PackId::generate(now, clock.random10()),
            content_type: PROTOBUF.into(),
            payload,
        })
        .collect()
}

fn job(what: ToPublish, after: Option<TraceContext>, bodies: &mut HashMap<EventId, Arc<Body>>) -> Job {
    let body = bodies.entry(what.delivery.event).or_insert_with(|| {
        Arc::new(Body {
            event: what.delivery.event,
            event_type: what.event_type.to_string(),
            occurred_at: what.occurred_at,
            bytes: what.body,
            trace: what.trace.clone(),
        })
    });
    Job {
        delivery: what.delivery.id,
        endpoint: what.delivery.endpoint,
        body: body.clone(),
        round: what.delivery.round,
        attempt: what.delivery.attempt,
        contract: what.contract,
        endpoint_version: what.endpoint_version,
        not_before: None,
        hops: 0,
        jitter: Duration::ZERO,
        trace: after.unwrap_or(what.trace),
    }
}
