//! `POST /v1/webhooks/{id}/replay`

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::port::Retried;
use whimbrel_core::replay::{ReplayFilter, ReplayKind};
use whimbrel_core::subscription::EventType;
use whimbrel_core::{DeliveryId, EndpointId, EventId, TenantId, Timestamp};

use super::TAG;
use super::read::{existing, unknown};
use crate::auth::Caller;
use crate::deliveries::{ShownStatus, not_retryable};
use crate::extract::{ApiJson, Id};
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::replays::{ReplayView, new_replay};
use crate::state::{ApiState, SharedState};

/// Types of one replay at most.
const TYPES_MAX: usize = 100;

/// What to send again: past deliveries of a range of time, or one event.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub(crate) enum StartReplay {
    /// Past deliveries.
    Range(ReplayRange),
    /// One event.
    Event(ReplayEvent),
}

/// Past deliveries to send again.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRange {
    /// Deliveries of events accepted at or after this time.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Deliveries of events accepted before this time; left out, or in the future, it is now.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Which of them.
    #[schema(required = false)]
    status: ReplayedStatus,
    /// Only events of these types; left out or empty, all.
    #[schema(value_type = Option<Vec<String>>, max_items = 100, example = json!(["user.created"]))]
    event_types: Vec<EventType>,
}

/// One event to send to this webhook.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayEvent {
    /// Which. The webhook need not have been subscribed to it.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    event_id: EventId,
}

/// Which deliveries are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(default = "failed")]
pub(crate) enum ReplayedStatus {
    /// Failed ones.
    #[default]
    Failed,
    /// Those that succeeded too.
    All,
}

/// The fields of both forms, as they come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    status: Option<ReplayedStatus>,
    event_types: Option<Vec<EventType>>,
    event_id: Option<EventId>,
}

/// What has begun.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ReplayStarted {
    /// A replay of past deliveries.
    Replay(ReplayView),
    /// The delivery of one event.
    Delivery(EventReplayed),
}

/// One event on its way again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventReplayed {
    /// The delivery, for `GET /v1/deliveries/{id}`.
    #[schema(value_type = String, example = "del_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    delivery_id: DeliveryId,
    /// What is delivered.
    #[schema(value_type = String, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    event_id: EventId,
    /// Where to.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    webhook_id: EndpointId,
    /// `pending`.
    status: ShownStatus,
    /// The number that the attempt will have.
    attempt: u32,
}

/// Send past events again
///
/// Exactly one of two forms. With `since`, past deliveries to this webhook are begun anew, a few at a time and oldest
/// first, behind live traffic; the answer is the replay, which survives restarts and can be followed and cancelled
/// under `/v1/replays/{id}`. With `event_id`, that event is sent to this webhook now; the answer is its delivery.
/// While the webhook is not active, the first form waits and the second is refused.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/replay",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id")),
    request_body = StartReplay,
    responses(
        (status = 202, description = "Begun: the replay, or the delivery of the one event", body = ReplayStarted),
        (status = 404, description = "No such webhook or event", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The event cannot be sent again now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid, or the forms are mixed", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start_replay(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiJson(fields): ApiJson<Fields>,
) -> Answer<(StatusCode, Json<ReplayStarted>)> {
    let started = match StartReplay::try_from(fields)? {
        StartReplay::Range(range) => ReplayStarted::Replay(replay_range(&state, &caller.tenant.id, id, range).await?),
        StartReplay::Event(ReplayEvent { event_id }) => {
            ReplayStarted::Delivery(replay_event(&state, &caller.tenant.id, id, event_id).await?)
        }
    };
    Ok((StatusCode::ACCEPTED, Json(started)))
}

async fn replay_range(
    state: &ApiState,
    tenant: &TenantId,
    endpoint: EndpointId,
    range: ReplayRange,
) -> Answer<ReplayView> {
    let now = state.clock.now();
    let until = range.until.map_or(now, |until| until.min(now));
    if range.since >= until {
        let message = format!("nothing lies between {} and {until}; since must come before until", range.since);
        return Err(Problem::invalid_field("/since", message));
    }
    let filter = ReplayFilter {
        since: Some(range.since),
        until: Some(until),
        failed_only: range.status == ReplayedStatus::Failed,
        event_types: range.event_types,
    };
    let replay = new_replay(state, tenant, endpoint, ReplayKind::Replay, filter);
    let started = state.store.start_replay(&replay).await?.ok_or_else(|| unknown(endpoint))?;
    tracing::info!(%tenant, %endpoint, replay = %started.id, total = started.total, "replay started");
    Ok(ReplayView::new(&started))
}

async fn replay_event(
    state: &ApiState,
    tenant: &TenantId,
    endpoint: EndpointId,
    event: EventId,
) -> Answer<EventReplayed> {
    existing(state, tenant, endpoint).await?;
    let no_event = || Problem::not_found(format!("there is no event `{event}`"));
    match state.store.replay_event(tenant, endpoint, event).await?.ok_or_else(no_event)? {
        Retried::Not(delivery) => Err(not_retryable(state, &delivery).await?),
        Retried::Waiting(delivery) => {
            tracing::info!(%tenant, %endpoint, %event, round = delivery.round, "event replayed");
            Ok(EventReplayed {
                delivery_id: delivery.id,
                event_id: event,
                webhook_id: endpoint,
                status: ShownStatus::Pending,
                attempt: delivery.attempt,
            })
        }
    }
}

impl TryFrom<Fields> for StartReplay {
    type Error = Problem;

    fn try_from(fields: Fields) -> Answer<Self> {
        let Fields { since, until, status, event_types, event_id } = fields;
        let Some(event_id) = event_id else {
            let since = since.ok_or_else(|| Problem::invalid_field("/since", "send either since or event_id"))?;
            let event_types = event_types.unwrap_or_default();
            if event_types.len() > TYPES_MAX {
                let message = format!("has {} entries; at most {TYPES_MAX} are possible", event_types.len());
                return Err(Problem::invalid_field("/event_types", message));
            }
            return Ok(Self::Range(ReplayRange { since, until, status: status.unwrap_or_default(), event_types }));
        };
        let others = [
            ("/since", since.is_some()),
            ("/until", until.is_some()),
            ("/status", status.is_some()),
            ("/event_types", event_types.is_some()),
        ];
        let mixed = others.into_iter().filter(|(_, given)| *given);
        let errors: Vec<FieldError> =
            mixed.map(|(pointer, _)| FieldError::new(pointer, "cannot stand beside event_id")).collect();
        if errors.is_empty() { Ok(Self::Event(ReplayEvent { event_id })) } else { Err(Problem::invalid(errors)) }
    }
}
