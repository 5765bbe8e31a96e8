//! `GET /v1/replays/{id}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::replay::{Replay, ReplayKind};
use whimbrel_core::{ReplayId, TenantId};

use super::{ReplayView, TAG};
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};

/// One replay and how far it is
#[utoipa::path(
    get,
    path = "/v1/replays/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The replay's id")),
    responses(
        (status = 200, description = "The replay", body = ReplayView),
        (status = 404, description = "No such replay", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_replay(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<ReplayId>,
) -> Answer<Json<ReplayView>> {
    Ok(Json(ReplayView::new(&existing(&state, &caller.tenant.id, id).await?)))
}

/// The tenant's replay, or 404. What the tracker began on its own account is not shown.
pub(super) async fn existing(state: &ApiState, tenant: &TenantId, id: ReplayId) -> Answer<Replay> {
    let replay = state.store.replay(tenant, id).await?;
    replay.filter(|replay| replay.kind != ReplayKind::Deferred).ok_or_else(|| unknown(id))
}

/// 404 for this replay.
pub(super) fn unknown(id: ReplayId) -> Problem {
    Problem::not_found(format!("there is no replay `{id}`"))
}
