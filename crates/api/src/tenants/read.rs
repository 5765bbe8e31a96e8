//! `GET /v1/tenants/{id}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::TenantId;
use whimbrel_core::tenant::Tenant;

use super::TAG;
use super::view::TenantView;
use crate::auth::Admin;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};

/// One tenant
#[utoipa::path(
    get,
    path = "/v1/tenants/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, description = "The tenant", body = TenantView),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_tenant(
    State(state): State<SharedState>,
    _: Admin,
    Id(id): Id<TenantId>,
) -> Answer<Json<TenantView>> {
    let tenant = existing(&state, &id).await?;
    Ok(Json(TenantView::new(&state, tenant)))
}

/// The tenant, or 404.
pub(super) async fn existing(state: &ApiState, id: &TenantId) -> Answer<Tenant> {
    state.store.tenant(id).await?.ok_or_else(|| unknown(id))
}

/// 404 for this tenant.
pub(super) fn unknown(id: &TenantId) -> Problem {
    Problem::not_found(format!("there is no tenant `{id}`"))
}
