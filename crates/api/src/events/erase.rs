//! `DELETE /v1/events/{id}/payload`

use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::EventId;

use super::TAG;
use super::read::unknown;
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

/// Erase an event's payload
///
/// What was published and what its receivers answered goes for good, and deliveries that have not ended are cancelled.
/// The event and its deliveries stay in the log without their contents. To erase it again does no harm.
#[utoipa::path(
    delete,
    path = "/v1/events/{id}/payload",
    tag = TAG,
    params(("id" = String, Path, description = "The event's id")),
    responses(
        (status = 204, description = "Erased"),
        (status = 404, description = "No such event", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn erase_payload(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EventId>,
) -> Answer<StatusCode> {
    if !state.store.erase_event(&caller.tenant.id, id).await? {
        return Err(unknown(id));
    }
    tracing::info!(tenant = %caller.tenant.id, event = %id, "an event's payload was erased");
    Ok(StatusCode::NO_CONTENT)
}
