//! `DELETE /v1/webhooks/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::Endpoint;

use super::TAG;
use super::read::{existing, unknown};
use crate::auth::Caller;
use crate::extract::Id;
use crate::outlet::announce;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

/// Delete a webhook
///
/// Deliveries that were waiting for it are cancelled.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
) -> Answer<StatusCode> {
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    if !state.store.delete_endpoint(&caller.tenant.id, id).await? {
        return Err(unknown(id));
    }
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, "endpoint deleted");
    announce(&state, &Endpoint { version: endpoint.version + 1, ..endpoint }).await;
    Ok(StatusCode::NO_CONTENT)
}
