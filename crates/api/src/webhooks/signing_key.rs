//! `POST` and `DELETE /v1/webhooks/{id}/signing-key`, `GET /v1/webhooks/{id}/public-key`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::EndpointId;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::EndpointChange;
use whimbrel_core::secret::{SecretPair, SigningKey};

use super::TAG;
use super::change::change;
use super::read::existing;
use crate::auth::Caller;
use crate::extract::{Id, NoBody};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// The public half of a webhook's Ed25519 key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicKeyView {
    /// What receivers verify with: `whpk_` and base64.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    public_key: String,
}

/// Make a webhook's Ed25519 key
///
/// From now on its requests are signed with this key beside the secret, where the contract has a place for such
/// signatures. The private half is never shown. A key that it had already is replaced and stops signing at once.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/signing-key",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "The new key's public half", body = PublicKeyView),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The contract has no place for Ed25519 signatures", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn make_signing_key(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoBody,
) -> Answer<Json<PublicKeyView>> {
    let contract = caller.contract(&state)?;
    existing(&state, &caller.tenant.id, id).await?;
    if contract.signature().ed25519_item().is_none() {
        return Err(no_place(contract));
    }
    let key = SigningKey::generate(&mut |bytes| state.clock.fill(bytes));
    let decide = |endpoint: &Endpoint| Ok((with_key(endpoint, Some(key.clone())), ()));
    change(&state, &caller.tenant.id, id, decide).await?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, "signing key made");
    Ok(Json(PublicKeyView { public_key: key.public().to_string() }))
}

/// A webhook's public key
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/public-key",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "The public key", body = PublicKeyView),
        (status = 404, description = "No such webhook, or it has no Ed25519 key", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_public_key(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
) -> Answer<Json<PublicKeyView>> {
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    let public_key = endpoint.secrets.public_key_text().ok_or_else(|| no_key(id))?;
    Ok(Json(PublicKeyView { public_key }))
}

/// Delete a webhook's Ed25519 key
///
/// Its requests are signed with the secret alone from now on.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}/signing-key",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such webhook, or it has no Ed25519 key", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_signing_key(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
) -> Answer<StatusCode> {
    let decide = |endpoint: &Endpoint| match endpoint.secrets.signing_key {
        Some(_) => Ok((with_key(endpoint, None), ())),
        None => Err(no_key(id)),
    };
    change(&state, &caller.tenant.id, id, decide).await?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, "signing key deleted");
    Ok(StatusCode::NO_CONTENT)
}

fn with_key(endpoint: &Endpoint, signing_key: Option<SigningKey>) -> EndpointChange {
    let secrets = SecretPair { signing_key, ..endpoint.secrets.clone() };
    EndpointChange { secrets: Some(secrets), ..EndpointChange::default() }
}

fn no_key(id: EndpointId) -> Problem {
    Problem::not_found(format!("the webhook `{id}` has no Ed25519 key; POST to its signing-key makes one"))
}

fn no_place(contract: &Contract) -> Problem {
    let detail = format!("requests under the contract `{}` have no place for an Ed25519 signature", contract.name());
    Problem::conflict("no_ed25519", detail)
}
