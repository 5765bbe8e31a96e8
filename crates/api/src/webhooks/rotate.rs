//! `POST /v1/webhooks/{id}/rotate-secret`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::EndpointChange;
use whimbrel_core::secret::Rotated;

use super::TAG;
use super::change::{Changed, change};
use super::create::secret;
use crate::auth::Caller;
use crate::extract::{ApiJson, Id};
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::SharedState;

/// How long the old secret may sign too.
const OVERLAP_MAX: Duration = Duration::from_hours(7 * 24);

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// Your own new secret, in the form that the tenant's contract asks for. Left out, one is made.
    #[schema(max_length = 512)]
    secret: Option<String>,
    /// How long the old secret signs beside the new one: `0s` to `7d`. Left out, the contract says.
    #[schema(example = "24h")]
    overlap: Option<String>,
}

/// A rotated secret. This is the only answer that ever shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RotatedSecret {
    /// The webhook.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: EndpointId,
    /// The new secret.
    secret: String,
    /// Until when the old secret signs too; null when it has stopped.
    #[schema(format = DateTime)]
    previous_valid_until: Option<String>,
    /// Whether an older secret, whose overlap had not ended, stopped signing at once: two sign at most.
    dropped_oldest: bool,
}

/// Rotate a webhook's secret
///
/// Requests are signed with both secrets until the overlap ends. At most two sign: a second rotation
/// within the overlap drops the oldest and says so.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/rotate-secret",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = RotateSecret,
    responses(
        (status = 200, description = "The new secret", body = RotatedSecret),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Others change it all the time", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rotate_secret(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiJson(body): ApiJson<RotateSecret>,
) -> Answer<Json<RotatedSecret>> {
    let contract = caller.contract(&state)?;
    let new = secret(contract, body.secret.as_deref(), state.clock.as_ref())
        .map_err(|error| Problem::invalid(vec![error]))?;
    let overlap = match &body.overlap {
        Some(text) => overlap(text).map_err(|error| Problem::invalid(vec![error]))?,
        None => contract.rotation().overlap(),
    };
    let decide = |endpoint: &Endpoint| {
        let Rotated { secrets, dropped_oldest } =
            endpoint.secrets.clone().rotate(new.clone(), state.clock.now(), overlap);
        Ok((EndpointChange { secrets: Some(secrets), ..EndpointChange::default() }, dropped_oldest))
    };
    let Changed { endpoint, note: dropped_oldest, .. } = change(&state, &caller.tenant.id, id, decide).await?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, dropped_oldest, "secret rotated");
    Ok(Json(RotatedSecret {
        id,
        secret: new.expose().to_owned(),
        previous_valid_until: endpoint.secrets.previous.as_ref().map(|(_, until)| until.to_string()),
        dropped_oldest,
    }))
}

fn overlap(text: &str) -> Result<Duration, FieldError> {
    let parsed = humantime::parse_duration(text);
    parsed
        .ok()
        .filter(|overlap| *overlap <= OVERLAP_MAX)
        .ok_or_else(|| FieldError::new("/overlap", format!("`{text}` is not a duration from 0s to 7d, such as 24h")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_a_week_at_most() {
        assert_eq!(overlap("0s"), Ok(Duration::ZERO));
        assert_eq!(overlap("7d"), Ok(OVERLAP_MAX));
        for text in ["", "8d", "-1h", "24", "soon", "999999999999999999999y"] {
            assert!(overlap(text).is_err(), "{text}");
        }
    }
}
