//! JSON bodies that may be left out.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::{decode, media_type, read_body};
use crate::problem::Problem;
use crate::state::SharedState;

/// A management request's body like [`super::ApiJson`]'s, or the default when there is none.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<SharedState> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        let media = media_type(request.headers());
        let body = read_body(request, state.settings.management_bytes_max, &state.settings).await?;
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self(T::default()));
        }
        match media.as_str() {
            "application/json" => decode(&body).map(Self),
            _ => Err(Problem::unsupported_media_type(format!(
                "the content type is `{media}`; send application/json, or no body"
            ))),
        }
    }
}
