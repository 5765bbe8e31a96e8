//! `POST|GET /v1/tenants/{id}/keys`, `DELETE /v1/keys/{id}`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::{KeyId, TenantId};

use super::TAG;
use super::key_view::{CreateKey, KeyList, NewKeyView};
use super::read::existing;
use crate::auth::Admin;
use crate::extract::{ApiJson, Id};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// Make a key for a tenant
///
/// The key is shown once and kept as a hash only.
#[utoipa::path(
    post,
    path = "/v1/tenants/{id}/keys",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    request_body = CreateKey,
    responses(
        (status = 201, description = "The key, shown once", body = NewKeyView),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_key(
    State(state): State<SharedState>,
    admin: Admin,
    Id(tenant): Id<TenantId>,
    ApiJson(body): ApiJson<CreateKey>,
) -> Answer<(StatusCode, Json<NewKeyView>)> {
    admin.about(&tenant);
    existing(&state, &tenant).await?;
    Ok((StatusCode::CREATED, Json(body.make(&state, Some(tenant)).await?)))
}

/// List a tenant's keys
#[utoipa::path(
    get,
    path = "/v1/tenants/{id}/keys",
    tag = TAG,
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, description = "The keys, oldest first", body = KeyList),
        (status = 404, description = "No such tenant", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_keys(
    State(state): State<SharedState>,
    _: Admin,
    Id(tenant): Id<TenantId>,
) -> Answer<Json<KeyList>> {
    existing(&state, &tenant).await?;
    Ok(Json(KeyList::new(state.store.keys(Some(&tenant)).await?)))
}

/// Revoke a key
///
/// A tenant's or an admin's. The configured admin key stays.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The key's id, not the key itself")),
    responses(
        (status = 204, description = "Revoked"),
        (status = 404, description = "No such key", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_key(State(state): State<SharedState>, _: Admin, Id(id): Id<KeyId>) -> Answer<StatusCode> {
    if !state.store.delete_key(id).await? {
        return Err(Problem::not_found(format!("there is no key `{id}`")));
    }
    tracing::info!(key = %id, "key revoked");
    Ok(StatusCode::NO_CONTENT)
}
