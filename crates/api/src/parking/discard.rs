//! `DELETE /v1/parking/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::ParkedId;
use whimbrel_core::port::{ParkedFate, WALK_MAX};

use super::{TAG, only};
use crate::auth::Admin;
use crate::extract::Id;
use crate::problem::{Answer, Problem};
use crate::state::SharedState;

/// Throw a parked message away
///
/// For good. For an admin key.
#[utoipa::path(
    delete,
    path = "/v1/parking/{id}",
    tag = TAG,
    params(("id" = String, Path, pattern = "^prk_[0-7][0-9a-hjkmnp-tv-z]{25}$")),
    responses((status = 204, description = "It is gone"))
)]
pub(crate) async fn discard_parked(
    State(state): State<SharedState>,
    _: Admin,
    Id(id): Id<ParkedId>,
) -> Answer<StatusCode> {
    let most = usize::try_from(WALK_MAX).unwrap_or(usize::MAX);
    match state.parking.settle(&only(id), ParkedFate::Discard, most).await?.discarded {
        0 => Err(Problem::not_found(format!("`{id}` is not parked"))),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}
