//! `GET /v1/deliveries/{id}`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::DeliveryId;
use whimbrel_core::delivery::Attempt;

use super::view::DeliveryFacts;
use super::{TAG, show};
use crate::auth::Caller;
use crate::extract::Id;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// A delivery with the log of its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryWithAttempts {
    #[serde(flatten)]
    facts: DeliveryFacts,
    /// Every attempt made, in order.
    attempts: Vec<AttemptView>,
}

/// One POST.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(crate) struct AttemptView {
    /// From 1; keeps rising over manual retries.
    number: u32,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took to the response's status line, or to the failure.
    duration_ms: u32,
    /// The status, when there was a response.
    status_code: Option<u16>,
    /// The beginning of the response's body, at most 4 KiB; bytes that are not UTF-8 are replaced.
    response_body: Option<String>,
    /// What was wrong, when it failed.
    error: Option<String>,
}

/// One delivery with its attempts
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = TAG,
    params(("id" = String, Path, description = "The delivery's id")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryWithAttempts),
        (status = 404, description = "No such delivery", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_delivery(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<DeliveryId>,
) -> Answer<Json<DeliveryWithAttempts>> {
    let (row, attempts) = state.store.delivery(&caller.tenant.id, id).await?.ok_or_else(|| unknown(id))?;
    let delivery = show(&state, vec![row]).await?.pop().ok_or_else(Problem::internal)?;
    let attempts = attempts.into_iter().map(AttemptView::new).collect();
    Ok(Json(DeliveryWithAttempts { facts: delivery.into_facts(), attempts }))
}

/// 404 for this delivery.
pub(super) fn unknown(id: DeliveryId) -> Problem {
    Problem::not_found(format!("there is no delivery `{id}`"))
}

impl AttemptView {
    fn new(attempt: Attempt) -> Self {
        let body = attempt.status_code.map(|_| String::from_utf8_lossy(&attempt.response_body).into_owned());
        Self {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            duration_ms: attempt.duration_ms,
            status_code: attempt.status_code,
            response_body: body,
            error: attempt.error,
        }
    }
}
