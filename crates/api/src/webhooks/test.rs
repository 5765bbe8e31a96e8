//! `POST /v1/webhooks/{id}/test`

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::contract::TEST_EVENT;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::message::{id_bytes, trace_to_wire, v1};
use whimbrel_core::{DeliveryId, EndpointId, EventId, Timestamp};

use super::TAG;
use super::read::existing;
use crate::auth::Caller;
use crate::extract::{Id, NoBody};
use crate::outlet::publish_events;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;
use crate::trace::trace_of;

/// A test on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestStarted {
    /// The delivery, for `GET /v1/deliveries/{id}`, where it shows as soon as the event is stored.
    #[schema(value_type = String, example = "del_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: DeliveryId,
    /// The event that is delivered.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    event_id: EventId,
}

/// The test event's data.
#[derive(Serialize)]
struct TestData {
    message: &'static str,
    webhook_id: EndpointId,
    sent_at: String,
}

/// Send a test event
///
/// An event of the type `webhook.test` goes to this webhook alone, signed, sent, retried and logged like
/// any other.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/test",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 202, description = "On its way", body = TestStarted),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The webhook takes no deliveries", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn test_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    headers: HeaderMap,
    _: NoBody,
) -> Answer<(StatusCode, Json<TestStarted>)> {
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    if !endpoint.status.is_active() {
        let detail = format!("the webhook is {}; activate it first", endpoint.status.as_str());
        return Err(Problem::conflict("not_active", detail));
    }
    let now = state.clock.now();
    let event_id = EventId::generate(now, state.clock.random10());
    let event = v1::Event { trace: trace_to_wire(&trace_of(&headers)), ..test_event(&endpoint, event_id, now) };
    publish_events(&state, vec![event]).await?;
    Ok((StatusCode::ACCEPTED, Json(TestStarted { id: DeliveryId::of(event_id, id), event_id })))
}

fn test_event(endpoint: &Endpoint, id: EventId, now: Timestamp) -> v1::Event {
    let data = TestData {
        message: "a test event; nothing happened",
        webhook_id: endpoint.id,
        sent_at: crate::text::whole_seconds(now),
    };
    v1::Event {
        id: id_bytes(id.uuid()),
        tenant: endpoint.tenant.to_string(),
        r#type: TEST_EVENT.to_owned(),
        occurred_at_us: now.as_micros(),
        data: serde_json::to_vec(&data).expect("plain text").into(),
        only_endpoint: id_bytes(endpoint.id.uuid()),
        ..v1::Event::default()
    }
}
