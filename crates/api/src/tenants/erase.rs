//! `POST /v1/tenants/{id}/erase`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use whimbrel_core::{TenantId, Timestamp};

use super::TAG;
use super::read::{existing, unknown};
use super::view::TenantView;
use crate::auth::Admin;
use crate::extract::{ApiJson, Id};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// Which payloads to erase.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EraseTenant {
    /// Those of events accepted before this; before now if left out.
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
}

/// Erase a tenant's payloads
///
/// What its events held and what its receivers answered goes for good, step by step; while that lasts, the tenant shows
/// `erasing_before`. Deliveries of these events that have not ended are cancelled. Events, deliveries and attempts stay
/// in the log without their contents.
#[utoipa::path(
    post,
    path = "/v1/tenants/{id}/erase",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    request_body = EraseTenant,
    responses(
        (status = 202, description = "The tenant, whose payloads are being erased", body = TenantView),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn erase_tenant(
    State(state): State<SharedState>,
    admin: Admin,
    Id(id): Id<TenantId>,
    ApiJson(body): ApiJson<EraseTenant>,
) -> Answer<(StatusCode, Json<TenantView>)> {
    admin.about(&id);
    let now = state.clock.now();
    let before = body.before.unwrap_or(now);
    if before > now {
        let message = format!("{before} lies ahead; only events that were accepted can be erased");
        return Err(Problem::invalid_field("/before", message));
    }
    if !state.store.erase_tenant(&id, before).await? {
        return Err(unknown(&id));
    }
    tracing::info!(tenant = %id, %before, "erasure of a tenant's payloads asked for");
    let tenant = existing(&state, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(TenantView::new(&state, tenant))))
}
