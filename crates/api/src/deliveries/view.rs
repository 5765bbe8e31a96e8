//! A delivery as the API shows it.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::delivery::{DeliveryRow, DeliveryState};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::{DeliveryId, EndpointId, EventId};

use super::ShownStatus;
use crate::problem::Answer;
use crate::state::ApiState;

/// A delivery in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryView {
    #[serde(flatten)]
    facts: DeliveryFacts,
    /// How many attempts were made.
    attempts: u32,
}

/// One event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryFacts {
    /// Names it.
    #[schema(value_type = String, example = "del_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: DeliveryId,
    /// What is delivered.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    event_id: EventId,
    /// The event's type.
    #[schema(example = "user.created")]
    event_type: String,
    /// Where to.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    webhook_id: EndpointId,
    /// Where it is.
    status: ShownStatus,
    /// The last attempt's status code, when there was a response.
    status_code: Option<u16>,
    /// When the receiver answered 2xx.
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    /// When the next attempt is due, while it is retrying.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// What was wrong with the last attempt, when it failed.
    #[schema(example = "timeout: no response within 30s")]
    error: Option<String>,
}

impl DeliveryView {
    /// Shows a row; `endpoint` is its endpoint's status, `None` when that was deleted.
    pub(crate) fn new(row: DeliveryRow, endpoint: Option<EndpointStatus>) -> Self {
        Self { attempts: row.attempts, facts: DeliveryFacts::new(row, endpoint) }
    }

    /// Without the number of attempts, for where they are shown one by one.
    pub(super) fn into_facts(self) -> DeliveryFacts {
        self.facts
    }
}

impl DeliveryFacts {
    fn new(row: DeliveryRow, endpoint: Option<EndpointStatus>) -> Self {
        let state = row.delivery.state;
        let status = ShownStatus::of(&state, endpoint);
        Self {
            id: row.delivery.id,
            event_id: row.delivery.event,
            event_type: row.event_type.to_string(),
            webhook_id: row.delivery.endpoint,
            status,
            status_code: row.status_code,
            delivered_at: match state {
                DeliveryState::Succeeded { at } => Some(at.to_string()),
                _ => None,
            },
            next_attempt_at: match state {
                DeliveryState::Retrying { at } if status == ShownStatus::Retrying => Some(at.to_string()),
                _ => None,
            },
            error: row.error,
        }
    }
}

/// Shows rows of any endpoints.
pub(crate) async fn show(state: &ApiState, rows: Vec<DeliveryRow>) -> Answer<Vec<DeliveryView>> {
    let mut ids: Vec<EndpointId> = rows.iter().map(|row| row.delivery.endpoint).collect();
    ids.sort_unstable();
    ids.dedup();
    let statuses = if ids.is_empty() { HashMap::new() } else { state.store.statuses(&ids).await? };
    let view = |row: DeliveryRow| {
        let status = statuses.get(&row.delivery.endpoint).copied();
        DeliveryView::new(row, status)
    };
    Ok(rows.into_iter().map(view).collect())
}
