//! An event as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::EventId;
use whimbrel_core::event::Event;

/// An event in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// Its id.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(rename = "type", example = "user.created")]
    event_type: String,
    /// When it happened.
    #[schema(format = DateTime)]
    occurred_at: String,
    /// When Whimbrel accepted it.
    #[schema(format = DateTime)]
    accepted_at: String,
    /// Whether its data was erased.
    erased: bool,
}

impl EventView {
    /// Without its data.
    pub(super) fn new(event: &Event) -> Self {
        Self {
            id: event.id,
            event_type: event.event_type.to_string(),
            occurred_at: event.occurred_at.to_string(),
            accepted_at: event.id.created_at().to_string(),
            erased: is_erased(event),
        }
    }
}

/// What was erased has an empty body, which no contract makes.
pub(super) fn is_erased(event: &Event) -> bool {
    event.body.is_empty()
}
