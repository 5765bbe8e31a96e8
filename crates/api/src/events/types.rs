//! `GET /v1/event-types`

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::contract::CatalogueType;

use super::TAG;
use crate::auth::Caller;
use crate::problem::Answer;
use crate::state::ApiState;

/// A contract's catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypeList {
    /// In the contract's order.
    event_types: Vec<EventTypeView>,
    /// Whether these are all: a closed catalogue refuses other types.
    closed: bool,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(crate) struct EventTypeView {
    /// Its name.
    #[serde(rename = "type")]
    #[schema(rename = "type", example = "user.created")]
    name: String,
    /// What it means.
    description: String,
}

/// The tenant's event types
#[utoipa::path(
    get,
    path = "/v1/event-types",
    tag = TAG,
    responses((status = 200, description = "The catalogue of the tenant's contract", body = EventTypeList))
)]
pub(crate) async fn list_event_types(State(state): State<ApiState>, caller: Caller) -> Answer<Json<EventTypeList>> {
    let catalogue = caller.contract(&state)?.catalogue();
    let view =
        |entry: &CatalogueType| EventTypeView { name: entry.name.to_string(), description: entry.description.clone() };
    let event_types = catalogue.types.iter().map(view).collect();
    Ok(Json(EventTypeList { event_types, closed: catalogue.closed, next_cursor: None }))
}
