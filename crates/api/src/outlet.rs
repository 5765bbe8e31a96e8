//! What the API puts on the queue: events for ingest, and notices of changed endpoints.

use std::time::Duration;

use prost::Message as _;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::PackId;
use whimbrel_core::message::{PROTOBUF, id_bytes, v1};
use whimbrel_core::port::{Message, Route};

use crate::packer::Packer;
use crate::problem::{Answer, Problem};
use crate::state::ApiState;

/// The kind of notice that tells others to forget their copy of an endpoint (rule 10).
const ENDPOINT_CHANGED: &str = "endpoint.changed";
/// A notice is best effort: no request waits longer than this for one.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// Publishes events and returns when they are durable. While the broker blocks publishers, nothing is
/// tried (rule 16).
pub(crate) async fn publish_events(state: &ApiState, events: Vec<v1::Event>) -> Answer<()> {
    if *state.publisher.blocked().borrow() {
        return Err(Problem::unavailable(5, "the broker takes no messages for the moment; try again"));
    }
    let publishing = async {
        match state.settings.event_packs {
            Some(rest_max) => state.memory.packer.publish(&state.publisher, &state.clock, rest_max, events).await,
            None => Packer::publish_singly(&state.publisher, &state.clock, events).await,
        }
    };
    match tokio::time::timeout(state.settings.publish_timeout, publishing).await {
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
    match tokio::time::timeout(NOTICE_TIMEOUT, state.publisher.publish(vec![message])).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(endpoint = %endpoint.id, %error, "a change could not be announced"),
        Err(_) => tracing::warn!(endpoint = %endpoint.id, "a change could not be announced in time"),
    }
}
