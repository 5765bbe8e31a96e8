//! Requests that take no body.

use axum::extract::{FromRequest, Request};

use super::read_body;
use crate::problem::Problem;
use crate::state::SharedState;

/// Nothing, or an empty JSON object: a body that would be ignored is refused instead.
pub(crate) struct NoBody;

impl FromRequest<SharedState> for NoBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Problem> {
        let body = read_body(request, state.settings.management_bytes_max, &state.settings).await?;
        match body.trim_ascii() {
            b"" | b"{}" => Ok(Self),
            _ => Err(Problem::invalid_field("", "this address takes no body")),
        }
    }
}
