//! `POST /v1/webhooks/{id}/activate`

use axum::Json;
use axum::extract::State;
use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::EndpointChange;

use super::TAG;
use super::read::unknown;
use super::view::WebhookView;
use crate::auth::Caller;
use crate::extract::{Id, NoBody};
use crate::outlet::announce;
use crate::problem::{Answer, ProblemBody};
use crate::state::ApiState;

/// Activate a webhook
///
/// Ends a suspension, or what `active: false` began. The count of failures starts anew.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/activate",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn activate_webhook(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    _: NoBody,
) -> Answer<Json<WebhookView>> {
    let change =
        EndpointChange { status: Some((EndpointStatus::Active, state.clock.now())), ..EndpointChange::default() };
    let endpoint = state.store.update_endpoint(&caller.tenant.id, id, &change).await?.ok_or_else(|| unknown(id))?;
    tracing::info!(tenant = %caller.tenant.id, endpoint = %id, "endpoint activated");
    announce(&state, &endpoint).await;
    Ok(Json(WebhookView::new(&state, &endpoint)))
}
