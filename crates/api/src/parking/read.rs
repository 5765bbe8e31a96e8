//! `GET /v1/parking/{id}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::ParkedId;

use super::{ParkedDetail, TAG, only};
use crate::auth::Admin;
use crate::extract::Id;
use crate::problem::{Answer, Problem};
use crate::state::SharedState;

/// Get a parked message
///
/// With all of its bytes. For an admin key.
#[utoipa::path(
    get,
    path = "/v1/parking/{id}",
    tag = TAG,
    params(("id" = String, Path, pattern = "^prk_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 200, description = "The message", body = ParkedDetail))
)]
pub(crate) async fn get_parked(
    State(state): State<SharedState>,
    _: Admin,
    Id(id): Id<ParkedId>,
) -> Answer<Json<ParkedDetail>> {
    let (found, _) = state.parking.list(&only(id), 1).await?;
    let parked = found.first().ok_or_else(|| Problem::not_found(format!("`{id}` is not parked")))?;
    Ok(Json(ParkedDetail::new(parked)))
}
