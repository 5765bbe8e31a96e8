//! `GET /v1/event-types/{type}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::subscription::EventType;

use super::TAG;
use super::view::EventTypeDetail;
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// One event type with its schema
#[utoipa::path(
    get,
    path = "/v1/event-types/{type}",
    tag = TAG,
    params(("type" = String, Path, description = "The event type", example = "user.created")),
    responses(
        (status = 200, description = "The event type", body = EventTypeDetail),
        (status = 404, description = "Neither the contract nor the tenant says anything about it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_event_type(
    State(state): State<SharedState>,
    caller: Caller,
    Id(event_type): Id<EventType>,
) -> Answer<Json<EventTypeDetail>> {
    let catalogue = caller.contract(&state)?.catalogue();
    let rows = state.store.event_types(&caller.tenant.id).await?;
    let row = rows.iter().find(|row| row.event_type == event_type);
    EventTypeDetail::new(&event_type, catalogue, row).map(Json).ok_or_else(|| unknown(&event_type))
}

/// 404 for this type.
pub(super) fn unknown(event_type: &EventType) -> Problem {
    Problem::not_found(format!("nothing is said about the event type `{event_type}`; PUT says something"))
}
