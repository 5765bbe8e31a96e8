//! `GET /v1/events`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TAG;
use super::view::EventView;
use crate::auth::Caller;
use crate::extract::ApiQuery;
use crate::page::Asked;
use crate::problem::Answer;
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier page.
    #[param(pattern = "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    cursor: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    /// Newest first, without their data.
    events: Vec<EventView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// List events
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = TAG,
    params(ListQuery),
    responses((status = 200, description = "A page of events, newest first", body = EventList))
)]
pub(crate) async fn list_events(
    State(state): State<SharedState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Answer<Json<EventList>> {
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let (events, next_cursor) =
        asked.cut(state.store.events(&caller.tenant.id, asked.request()).await?, |event| event.id);
    Ok(Json(EventList { events: events.iter().map(EventView::new).collect(), next_cursor }))
}
