//! `GET /v1/event-types`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::TAG;
use super::view::EventTypeView;
use crate::auth::Caller;
use crate::problem::Answer;
use crate::state::SharedState;

/// A tenant's catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypeList {
    /// The contract's in its order, then the tenant's own by name.
    event_types: Vec<EventTypeView>,
    /// Whether these are all: a closed catalogue refuses other types.
    closed: bool,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// The tenant's event types
#[utoipa::path(
    get,
    path = "/v1/event-types",
    tag = TAG,
    responses((status = 200, description = "The catalogue of the tenant's contract and what the tenant says of its types", body = EventTypeList))
)]
pub(crate) async fn list_event_types(State(state): State<SharedState>, caller: Caller) -> Answer<Json<EventTypeList>> {
    let catalogue = caller.contract(&state)?.catalogue();
    let rows = state.store.event_types(&caller.tenant.id).await?;
    let event_types = EventTypeView::all(catalogue, &rows);
    Ok(Json(EventTypeList { event_types, closed: catalogue.closed, next_cursor: None }))
}
