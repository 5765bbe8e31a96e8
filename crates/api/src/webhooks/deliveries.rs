//! `GET /v1/webhooks/{id}/deliveries`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::DeliveryFilter;
use whimbrel_core::subscription::EventType;
use whimbrel_core::{EndpointId, Timestamp};

use super::TAG;
use super::read::existing;
use crate::auth::Caller;
use crate::deliveries::{DeliveryView, ShownStatus};
use crate::extract::{ApiQuery, Id};
use crate::page::Asked;
use crate::problem::{Answer, ProblemBody};
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveriesQuery {
    /// Only those in this status.
    #[param(inline)]
    status: Option<ShownStatus>,
    /// Only events of this type.
    #[param(value_type = Option<String>, example = "user.created")]
    event_type: Option<EventType>,
    /// Only events accepted at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only events accepted before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier page.
    #[param(pattern = "^del_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    cursor: Option<String>,
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    /// Newest first.
    deliveries: Vec<DeliveryView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A webhook's deliveries
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/deliveries",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id"), DeliveriesQuery),
    responses(
        (status = 200, description = "A page of deliveries, newest first", body = DeliveryList),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_deliveries(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiQuery(query): ApiQuery<DeliveriesQuery>,
) -> Answer<Json<DeliveryList>> {
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    let rows = match filter(query, endpoint.status) {
        Some(filter) => state.store.deliveries(id, &filter, asked.request()).await?,
        None => Vec::new(),
    };
    let (rows, next_cursor) = asked.cut(rows, |row| row.delivery.id);
    let deliveries = rows.into_iter().map(|row| DeliveryView::new(row, Some(endpoint.status))).collect();
    Ok(Json(DeliveryList { deliveries, next_cursor }))
}

/// What to ask the store for; `None` when nothing can have that status.
fn filter(query: DeliveriesQuery, endpoint: EndpointStatus) -> Option<DeliveryFilter> {
    let states = query.status.map(|status| status.stored(endpoint));
    if states.is_some_and(<[_]>::is_empty) {
        return None;
    }
    Some(DeliveryFilter {
        states: states.unwrap_or_default().to_vec(),
        event_type: query.event_type,
        since: query.since,
        until: query.until,
    })
}
