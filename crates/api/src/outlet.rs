//! What the API puts on the queue: events for ingest, and notices of changed endpoints.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PROTOBUF, id_bytes, v1};
use whimbrel_core::port::{Clock, Message, Publisher, QueueError, Route};

use crate::packer::{Packer, message};
use crate::problem::{Answer, Problem};
use crate::state::ApiState;

/// The kind of notice that tells others to forget their copy of an endpoint (rule 10).
const ENDPOINT_CHANGED: &str = "endpoint.changed";
/// A notice is best effort: no request waits longer than this for one.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// The way to the queue. Clones share it.
#[derive(Clone)]
pub struct Outlet {
    publisher: Arc<dyn Publisher>,
    clock: Arc<dyn Clock>,
    packer: Option<Arc<Packer>>,
}

impl Outlet {
    /// Over this publisher. With `event_packs` events share messages, which begin so long apart at most when they have to
    /// wait for each other; without, each is one of its own.
    pub fn new(publisher: Arc<dyn Publisher>, clock: Arc<dyn Clock>, event_packs: Option<Duration>) -> Self {
        let packer = event_packs.map(|rest_max| Arc::new(Packer::new(publisher.clone(), clock.clone(), rest_max)));
        Self { publisher, clock, packer }
    }

    /// Returns when all are durable.
    async fn publish(&self, events: Vec<v1::Event>) -> Result<(), QueueError> {
        let events = events.into_iter().map(|event| (event.encode_to_vec().into(), event.r#type));
        if let Some(packer) = &self.packer {
            return packer.publish(events.collect()).await;
        }
        let messages = events.map(|(event, kind)| message(&*self.clock, kind, vec![event]));
        self.publisher.publish(messages.collect()).await
    }
}

/// Publishes events and returns when they are durable. While the broker blocks publishers, nothing is
/// tried (rule 16).
pub(crate) async fn publish_events(state: &ApiState, events: Vec<v1::Event>) -> Answer<()> {
    if *state.outlet.publisher.blocked().borrow() {
        return Err(Problem::unavailable(5, "the broker takes no messages for the moment; try again"));
    }
    match tokio::time::timeout(state.settings.publish_timeout, state.outlet.publish(events)).await {
        Ok(published) => Ok(published?),
        Err(_) => {
            Err(Problem::unavailable(1, "the queue did not confirm in time; try again, with the same Idempotency-Key"))
        }
    }
}

/// Tells whoever keeps a copy that this endpoint changed. A lost notice costs at most the five seconds
/// that a copy lives (rule 10), so a failure is logged and not told to the caller.
pub(crate) async fn announce(state: &ApiState, endpoint: &Endpoint) {
    let notice = v1::Notice {
        kind: ENDPOINT_CHANGED.to_owned(),
        tenant: endpoint.tenant.to_string(),
        endpoint_id: id_bytes(endpoint.id.uuid()),
        version: endpoint.version,
        reason: String::new(),
    };
    let message = Message {
        route: Route::Notices(ENDPOINT_CHANGED.to_owned()),
        id: PackId::generate(state.clock.now(), state.clock.random10()),
        content_type: PROTOBUF.to_owned(),
        payload: notice.encode_to_vec().into(),
    };
    match tokio::time::timeout(NOTICE_TIMEOUT, state.outlet.publisher.publish(vec![message])).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(endpoint = %endpoint.id, %error, "a change could not be announced"),
        Err(_) => tracing::warn!(endpoint = %endpoint.id, "a change could not be announced in time"),
    }
}
