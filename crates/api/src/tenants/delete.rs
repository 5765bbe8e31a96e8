//! `DELETE /v1/tenants/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::TenantId;

use super::TAG;
use super::read::unknown;
use crate::auth::Admin;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// Delete a tenant
///
/// Its keys and webhooks go with it, and what was waiting for them is cancelled. The tenant `default`
/// stays.
#[utoipa::path(
    delete,
    path = "/v1/tenants/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The tenant `default` cannot be deleted", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_tenant(
    State(state): State<SharedState>,
    admin: Admin,
    Id(id): Id<TenantId>,
) -> Answer<StatusCode> {
    admin.about(&id);
    if id == TenantId::default() {
        let detail = "the tenant `default` always exists; delete its webhooks instead";
        return Err(Problem::conflict("default_tenant", detail));
    }
    // No notices: a sender's copies of the endpoints live five seconds at most (rule 10).
    if !state.store.delete_tenant(&id).await? {
        return Err(unknown(&id));
    }
    tracing::info!(tenant = %id, "tenant deleted");
    Ok(StatusCode::NO_CONTENT)
}
