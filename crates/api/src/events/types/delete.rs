//! `DELETE /v1/event-types/{type}`

use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::subscription::EventType;

use super::TAG;
use super::read::unknown;
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

/// Forget what the tenant says about an event type
///
/// Its schema goes with it. What the contract says stays.
#[utoipa::path(
    delete,
    path = "/v1/event-types/{type}",
    tag = TAG,
    params(("type" = String, Path, description = "The event type", example = "user.created")),
    responses(
        (status = 204, description = "Forgotten"),
        (status = 404, description = "The tenant says nothing about it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_event_type(
    State(state): State<SharedState>,
    caller: Caller,
    Id(event_type): Id<EventType>,
) -> Answer<StatusCode> {
    if !state.store.delete_event_type(&caller.tenant.id, &event_type).await? {
        return Err(unknown(&event_type));
    }
    tracing::info!(tenant = %caller.tenant.id, %event_type, "event type forgotten");
    Ok(StatusCode::NO_CONTENT)
}
