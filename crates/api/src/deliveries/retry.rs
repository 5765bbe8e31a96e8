//! `POST /v1/deliveries/{id}/retry`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::port::Retried;
use whimbrel_core::{DeliveryId, EventId};

use super::TAG;
use super::read::unknown;
use super::status::ShownStatus;
use crate::auth::Caller;
use crate::extract::{Id, NoBody};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::ApiState;

/// A retry on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryStarted {
    /// The delivery.
    #[schema(value_type = String, example = "del_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: DeliveryId,
    /// What is delivered.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    event_id: EventId,
    /// `pending`.
    status: ShownStatus,
    /// The number that the attempt will have.
    attempt: u32,
}

/// Try a delivery again, now
///
/// Begins the contract's schedule anew. Possible once it succeeded or failed, or while it waits for its
/// next attempt, as long as its webhook is active.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/retry",
    tag = TAG,
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 202, description = "On its way", body = RetryStarted),
        (status = 404, description = "No such delivery", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "An attempt is on its way already, or the webhook takes none", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retry_delivery(
    State(state): State<ApiState>,
    caller: Caller,
    Id(id): Id<DeliveryId>,
    _: NoBody,
) -> Answer<(StatusCode, Json<RetryStarted>)> {
    match state.store.retry(&caller.tenant.id, id).await?.ok_or_else(|| unknown(id))? {
        Retried::Not(delivery) => Err(Problem::conflict("not_retryable", why_not(&delivery))),
        Retried::Waiting(delivery) => {
            tracing::info!(tenant = %caller.tenant.id, delivery = %id, round = delivery.round, "manual retry");
            let status = ShownStatus::Pending;
            let view = RetryStarted { id, event_id: delivery.event, status, attempt: delivery.attempt };
            Ok((StatusCode::ACCEPTED, Json(view)))
        }
    }
}

fn why_not(delivery: &Delivery) -> &'static str {
    match delivery.state {
        DeliveryState::Pending | DeliveryState::Waiting(_) => "an attempt is on its way already",
        DeliveryState::Cancelled => "its webhook was deleted",
        DeliveryState::Held => "its webhook takes no deliveries; activate it, and what is held goes out",
        DeliveryState::Retrying { .. } | DeliveryState::Succeeded { .. } | DeliveryState::Failed { .. } => {
            "its webhook was deleted or takes no deliveries; activate it first"
        }
    }
}
