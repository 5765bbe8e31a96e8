//! `GET /v1/parking`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::parking::Selection;

use super::{ParkedView, TAG};
use crate::auth::Admin;
use crate::extract::ApiQuery;
use crate::page;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParkingQuery {
    /// Only what came from here: `events`, `jobs.live`, `jobs.slow`, `jobs.bulk` or `outcomes`.
    source: Option<String>,
    /// Only what was parked for this reason: its stable word, such as `unknown_tenant`.
    reason: Option<String>,
    /// Messages shown.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
}

/// What is parked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ParkedList {
    /// As they lie there, oldest first.
    messages: Vec<ParkedView>,
    /// Whether there are more than are shown. There are no further pages: deal with these first, or narrow down.
    more: bool,
}

/// List parked messages
///
/// Messages that could not be processed: events that break a rule, what cannot be read, what came too often without being
/// acked and, on RabbitMQ, what no queue took. For an admin key. The first 10,000 are looked through; on RabbitMQ they are
/// out of others' sight meanwhile, and what was looked at ten times moves to the end.
#[utoipa::path(
    get,
    path = "/v1/parking",
    tag = TAG,
    params(ParkingQuery),
    responses(
        (status = 200, description = "The messages", body = ParkedList),
        (status = 403, description = "The key may not do this, or the process's broker user may not (`not_permitted`)", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_parked(
    State(state): State<SharedState>,
    _: Admin,
    ApiQuery(query): ApiQuery<ParkingQuery>,
) -> Answer<Json<ParkedList>> {
    let limit = query.limit.unwrap_or(50);
    if !(1..=page::MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is {limit}; it must lie between 1 and {}", page::MAX)));
    }
    let source = query.source.as_deref().map(super::source).transpose()?;
    let meant = Selection { ids: Vec::new(), source, reason: query.reason };
    let (found, walk) = state.parking.list(&meant, limit as usize).await?;
    Ok(Json(ParkedList { messages: found.iter().map(ParkedView::new).collect(), more: walk.more }))
}
