//! `POST|GET /v1/keys`: admin keys beside the configured one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::TAG;
use super::key_view::{CreateKey, KeyList, NewKeyView};
use crate::auth::Admin;
use crate::extract::ApiJson;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

/// Make an admin key
///
/// It may do everything, for every tenant. The key is shown once and kept as a hash only.
#[utoipa::path(
    post,
    path = "/v1/keys",
    tag = TAG,
    request_body = CreateKey,
    responses(
        (status = 201, description = "The key, shown once", body = NewKeyView),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create_admin_key(
    State(state): State<SharedState>,
    _: Admin,
    ApiJson(body): ApiJson<CreateKey>,
) -> Answer<(StatusCode, Json<NewKeyView>)> {
    Ok((StatusCode::CREATED, Json(body.make(&state, None).await?)))
}

/// List the admin keys
///
/// Without the configured one, which is not in the store.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = TAG,
    responses((status = 200, description = "The keys, oldest first", body = KeyList))
)]
pub(crate) async fn list_admin_keys(State(state): State<SharedState>, _: Admin) -> Answer<Json<KeyList>> {
    Ok(Json(KeyList::new(state.store.keys(None).await?)))
}
