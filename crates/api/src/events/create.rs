//! `POST /v1/events`

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::EventId;
use whimbrel_core::intake::{CLOUD_EVENTS_JSON, CloudEvent, IncomingEvent};

use super::TAG;
use super::accept::Gate;
use super::claim::{claim, header_key};
use super::wire::{CloudEventDoc, NewEvent};
use crate::auth::Caller;
use crate::extract::{decode, media_type, read_body};
use crate::outlet::publish_events;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};
use crate::trace::trace_of;

/// An accepted event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAccepted {
    /// The event's id: its receivers see it, and a repeat under the same key answers it again.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: EventId,
}

/// Publish an event
///
/// Accepted means durable: the queue has confirmed it. As `application/cloudevents+json` the body is a
/// CloudEvent 1.0 in structured mode, and `source` and `id` together are its idempotency key unless the
/// header gives one.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = TAG,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 1024, description = "Accepts the event once: a repeat within 7 days answers the same id, another event under the same key is a conflict")),
    request_body(content(
        (NewEvent = "application/json"),
        (CloudEventDoc = "application/cloudevents+json"),
    )),
    responses(
        (status = 202, description = "Accepted", body = EventAccepted),
        (status = 409, description = "Another event came under this key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The payload is larger than the contract or the tenant's own limit allows", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Neither JSON nor a CloudEvent", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The key has sent as many events as its tenant may for the moment; Retry-After says when to go on", body = ProblemBody, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 422, description = "The event cannot be accepted, or does not meet its type's schema: `errors` points at the fault", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_event(
    State(state): State<SharedState>,
    caller: Caller,
    request: Request,
) -> Answer<(StatusCode, Json<EventAccepted>)> {
    let trace = trace_of(request.headers());
    let event = incoming(&state, request).await?;
    caller.spend(&state, 1)?;
    let now = state.clock.now();
    let checked = Gate::open(&state, &caller, now).await?.check(event)?;
    let id = claim(&state, &caller, &[&checked], now).await?.pop().ok_or_else(Problem::internal)??;
    publish_events(&state, vec![checked.into_message(id, &caller, &trace)]).await?;
    Ok((StatusCode::ACCEPTED, Json(EventAccepted { id })))
}

async fn incoming(state: &ApiState, request: Request) -> Answer<IncomingEvent> {
    let key = header_key(request.headers())?;
    let media = media_type(request.headers());
    if media != "application/json" && media != CLOUD_EVENTS_JSON {
        let detail = format!("the content type is `{media}`; send application/json or {CLOUD_EVENTS_JSON}");
        return Err(Problem::unsupported_media_type(detail));
    }
    let body = read_body(request, state.settings.event_bytes_max, &state.settings).await?;
    if media == CLOUD_EVENTS_JSON {
        let event = CloudEvent::parse(&body)?;
        return Ok(IncomingEvent { key: key.or(event.key), ..event });
    }
    Ok(decode::<NewEvent>(&body)?.into_incoming(key)?)
}
