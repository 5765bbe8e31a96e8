//! `POST /v1/deliveries/{id}/retry`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::Retried;
use whimbrel_core::{DeliveryId, EventId};

use super::TAG;
use super::read::unknown;
use super::status::ShownStatus;
use crate::auth::Caller;
use crate::extract::{Id, NoBody};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};

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
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<DeliveryId>,
    _: NoBody,
) -> Answer<(StatusCode, Json<RetryStarted>)> {
    match state.store.retry(&caller.tenant.id, id).await?.ok_or_else(|| unknown(id))? {
        Retried::Not(delivery) => Err(not_retryable(&state, &delivery).await?),
        Retried::Waiting(delivery) => {
            tracing::info!(tenant = %caller.tenant.id, delivery = %id, round = delivery.round, "manual retry");
            let status = ShownStatus::Pending;
            let view = RetryStarted { id, event_id: delivery.event, status, attempt: delivery.attempt };
            Ok((StatusCode::ACCEPTED, Json(view)))
        }
    }
}

/// 409 for a delivery that cannot be retried as it stands, with words that fit what the API shows of it.
pub(crate) async fn not_retryable(state: &ApiState, delivery: &Delivery) -> Answer<Problem> {
    let endpoint = state.store.statuses(&[delivery.endpoint]).await?.get(&delivery.endpoint).copied();
    Ok(Problem::conflict("not_retryable", why_not(&delivery.state, endpoint)))
}

fn why_not(state: &DeliveryState, endpoint: Option<EndpointStatus>) -> &'static str {
    match (ShownStatus::of(state, endpoint), endpoint) {
        (_, None) => "its webhook was deleted",
        (ShownStatus::Held, _) => "its webhook takes no deliveries; activate it, and what is held goes out",
        (_, Some(EndpointStatus::Suspended { .. } | EndpointStatus::Disabled)) => {
            "its webhook takes no deliveries; activate it first"
        }
        (ShownStatus::Cancelled, _) => "it was given up when its webhook was activated, or its event was erased",
        (ShownStatus::Pending, _) => "an attempt is on its way already",
        (ShownStatus::Retrying | ShownStatus::Success | ShownStatus::Failed, _) => {
            "its event's payload was erased, or its webhook was not active a moment ago"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_07_the_words_fit_what_is_shown() {
        let words = |state, endpoint| why_not(&state, endpoint);
        let (active, disabled) = (Some(EndpointStatus::Active), Some(EndpointStatus::Disabled));
        assert!(words(DeliveryState::Pending, active).contains("on its way"));
        assert!(words(DeliveryState::Pending, disabled).contains("what is held goes out"));
        assert!(words(DeliveryState::Cancelled, disabled).contains("takes no deliveries"));
        assert!(words(DeliveryState::Cancelled, active).contains("given up"));
        assert!(words(DeliveryState::Pending, None).contains("deleted"));
    }
}
