//! `DELETE /v1/replays/{id}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::ReplayId;

use super::read::{existing, unknown};
use super::{ReplayView, TAG};
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

/// Cancel a replay
///
/// What it has begun goes on; nothing more is begun. One that has ended stays as it is. A release of an active webhook
/// begins again by itself, for nothing stays held there: to give up what is held, activate the webhook with
/// `{"held": "drop"}`; to keep it, make the webhook inactive.
#[utoipa::path(
    delete,
    path = "/v1/replays/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The replay's id")),
    responses(
        (status = 200, description = "The replay as it is now", body = ReplayView),
        (status = 404, description = "No such replay", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel_replay(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<ReplayId>,
) -> Answer<Json<ReplayView>> {
    existing(&state, &caller.tenant.id, id).await?;
    let cancelled = state.store.cancel_replay(&caller.tenant.id, id, state.clock.now()).await?;
    let replay = cancelled.ok_or_else(|| unknown(id))?;
    tracing::info!(tenant = %caller.tenant.id, replay = %id, state = replay.state.as_str(), "replay cancelled");
    Ok(Json(ReplayView::new(&replay)))
}
