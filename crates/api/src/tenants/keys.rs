//! `POST|GET /v1/tenants/{id}/keys`, `DELETE /v1/keys/{id}`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::port::ApiKey;
use whimbrel_core::{KeyId, TenantId};

use super::TAG;
use super::read::existing;
use crate::auth::Admin;
use crate::extract::{ApiJson, Id};
use crate::key;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::ApiState;
use crate::text;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKey {
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 256, example = "billing service")]
    name: String,
}

/// A key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyView {
    /// Names it, for revoking.
    #[schema(value_type = String, example = "key_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: KeyId,
    /// What it is for.
    name: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A new key. This is the only answer that ever shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewKey)]
pub(crate) struct NewKeyView {
    /// Names it, for revoking.
    #[schema(value_type = String, example = "key_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: KeyId,
    /// What it is for.
    name: String,
    /// The key itself.
    #[schema(example = "whk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    key: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A tenant's keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// Oldest first.
    keys: Vec<KeyView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

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
    State(state): State<ApiState>,
    _: Admin,
    Id(tenant): Id<TenantId>,
    ApiJson(body): ApiJson<CreateKey>,
) -> Answer<(StatusCode, Json<NewKeyView>)> {
    text::check("/name", &body.name, text::NAME_BYTES_MAX).map_err(|error| Problem::invalid(vec![error]))?;
    existing(&state, &tenant).await?;
    let secret = key::generate(state.clock.as_ref());
    let now = state.clock.now();
    let id = KeyId::generate(now, state.clock.random10());
    let row = ApiKey { id, tenant: Some(tenant.clone()), name: body.name, hash: key::hash(&secret), created_at: now };
    state.store.create_key(&row).await?;
    tracing::info!(%tenant, key = %id, "key created");
    let view = NewKeyView { id, name: row.name, key: secret, created_at: text::whole_seconds(now) };
    Ok((StatusCode::CREATED, Json(view)))
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
    State(state): State<ApiState>,
    _: Admin,
    Id(tenant): Id<TenantId>,
) -> Answer<Json<KeyList>> {
    existing(&state, &tenant).await?;
    let rows = state.store.keys(Some(&tenant)).await?;
    let view = |row: ApiKey| KeyView { id: row.id, name: row.name, created_at: text::whole_seconds(row.created_at) };
    Ok(Json(KeyList { keys: rows.into_iter().map(view).collect(), next_cursor: None }))
}

/// Revoke a key
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
pub(crate) async fn delete_key(State(state): State<ApiState>, _: Admin, Id(id): Id<KeyId>) -> Answer<StatusCode> {
    if !state.store.delete_key(id).await? {
        return Err(Problem::not_found(format!("there is no key `{id}`")));
    }
    tracing::info!(key = %id, "key revoked");
    Ok(StatusCode::NO_CONTENT)
}
