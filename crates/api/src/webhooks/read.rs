//! `GET /v1/webhooks/{id}`

use axum::Json;
use axum::extract::State;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::{EndpointId, TenantId};

use super::TAG;
use super::view::WebhookView;
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};

/// One webhook
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "The webhook, without its secret", body = WebhookView),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_webhook(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
) -> Answer<Json<WebhookView>> {
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    Ok(Json(WebhookView::new(&state, &endpoint)))
}

/// The tenant's endpoint, or 404.
pub(super) async fn existing(state: &ApiState, tenant: &TenantId, id: EndpointId) -> Answer<Endpoint> {
    state.store.endpoint(tenant, id).await?.ok_or_else(|| unknown(id))
}

/// 404 for this webhook.
pub(super) fn unknown(id: EndpointId) -> Problem {
    Problem::not_found(format!("there is no webhook `{id}`"))
}
