//! `GET /v1/events/{id}`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use whimbrel_core::EventId;
use whimbrel_core::event::Event;

use super::TAG;
use super::view::{EventView, is_erased};
use crate::auth::Caller;
use crate::deliveries::{DeliveryView, show};
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// An event with its data and its deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventWithDeliveries {
    #[serde(flatten)]
    event: EventView,
    /// What was published; null when it was erased.
    #[schema(value_type = Value)]
    data: Option<Box<RawValue>>,
    /// One per webhook that gets it.
    deliveries: Vec<DeliveryView>,
}

/// One event with its deliveries
///
/// An event shows here as soon as ingest has stored it, a moment after it was accepted.
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The event's id")),
    responses(
        (status = 200, description = "The event", body = EventWithDeliveries),
        (status = 404, description = "No such event", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_event(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Answer<Json<EventWithDeliveries>> {
    let tenant = &caller.tenant.id;
    let event = state.store.event(tenant, id).await?.ok_or_else(|| unknown(id))?;
    let deliveries = show(&state, state.store.deliveries_of_event(tenant, id).await?).await?;
    Ok(Json(EventWithDeliveries { event: EventView::new(&event), data: data_of(&event)?, deliveries }))
}

/// The publisher's data, cut out of the body that receivers get; nothing once that is erased.
fn data_of(event: &Event) -> Answer<Option<Box<RawValue>>> {
    if is_erased(event) {
        return Ok(None);
    }
    let bytes = event.body.get(event.data_range.clone());
    bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).map(Some).ok_or_else(|| {
        tracing::error!(event = %event.id, "a stored event's data is no JSON");
        Problem::internal()
    })
}

/// 404 for this event.
pub(super) fn unknown(id: EventId) -> Problem {
    Problem::not_found(format!("there is no event `{id}`; one accepted a moment ago may not be stored yet"))
}
