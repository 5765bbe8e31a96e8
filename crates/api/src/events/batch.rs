//! `POST /v1/events/batch`

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use whimbrel_core::EventId;

use super::TAG;
use super::accept::{Checked, Gate};
use super::claim::{IDEMPOTENCY_KEY, claim};
use super::wire::BatchEvent;
use crate::auth::Caller;
use crate::extract::{decode, media_type, read_body};
use crate::outlet::publish_events;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{ApiState, SharedState};
use crate::trace::trace_of;

/// Events of one batch at most.
const EVENTS_MAX: usize = 1_000;

/// Events to publish together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventBatch {
    /// Each stands for itself: one that is refused does not hold up the others.
    #[schema(value_type = Vec<BatchEvent>, min_items = 1, max_items = 1000)]
    events: Vec<Box<RawValue>>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResults {
    /// One per event, in order.
    results: Vec<BatchResult>,
}

/// What became of one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResult {
    /// What the event alone would have been answered with: 202 when it was accepted.
    #[schema(example = 202)]
    status: u16,
    /// The event's id, when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: Option<EventId>,
    /// Why it was not, otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ProblemBody, required = false)]
    error: Option<ProblemBody>,
}

/// Publish up to 1,000 events
///
/// The answer is 202 with a result per event, in order; what was accepted is durable. Idempotency keys
/// stand in the events. Where the tenant has a rate, a batch counts as its events; one larger than a second's worth is
/// let in when the key has sent nothing for a while, and paid for afterwards.
#[utoipa::path(
    post,
    path = "/v1/events/batch",
    tag = TAG,
    request_body = EventBatch,
    responses(
        (status = 202, description = "A result per event", body = BatchResults),
        (status = 413, description = "The batch is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a batch", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The key has sent as many events as its tenant may for the moment; Retry-After says when to go on", body = ProblemBody, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
    )
)]
pub(crate) async fn create_events(
    State(state): State<SharedState>,
    caller: Caller,
    request: Request,
) -> Answer<(StatusCode, Json<BatchResults>)> {
    let trace = trace_of(request.headers());
    let batch = read(&state, request).await?;
    caller.spend(&state, batch.events.len())?;
    let now = state.clock.now();
    let gate = Gate::open(&state, &caller, now).await?;
    let checked: Vec<Answer<Checked>> = batch.events.iter().map(|raw| check_one(&gate, raw)).collect();
    let good: Vec<&Checked> = checked.iter().filter_map(|one| one.as_ref().ok()).collect();
    let mut ids = claim(&state, &caller, &good, now).await?.into_iter();
    let mut messages = Vec::with_capacity(ids.len());
    let mut results = Vec::with_capacity(checked.len());
    for one in checked {
        let accepted = one.and_then(|checked| Ok((ids.next().ok_or_else(Problem::internal)??, checked)));
        results.push(BatchResult::new(accepted.as_ref().map(|(id, _)| *id)));
        messages.extend(accepted.ok().map(|(id, checked)| checked.into_message(id, &caller, &trace)));
    }
    if !messages.is_empty() {
        publish_events(&state, messages).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(BatchResults { results })))
}

async fn read(state: &ApiState, request: Request) -> Answer<EventBatch> {
    check_headers(request.headers())?;
    let body = read_body(request, state.settings.batch_bytes_max, &state.settings).await?;
    let batch: EventBatch = decode(&body)?;
    match batch.events.len() {
        1..=EVENTS_MAX => Ok(batch),
        other => Err(Problem::invalid_field(
            "/events",
            format!("has {other} entries; between 1 and {EVENTS_MAX} are possible"),
        )),
    }
}

fn check_headers(headers: &HeaderMap) -> Answer<()> {
    let media = media_type(headers);
    if media != "application/json" {
        return Err(Problem::unsupported_media_type(format!("the content type is `{media}`; send application/json")));
    }
    if headers.contains_key(IDEMPOTENCY_KEY) {
        let detail = "a batch takes no Idempotency-Key header; give each event an idempotency_key";
        return Err(Problem::bad_request(detail));
    }
    Ok(())
}

fn check_one(gate: &Gate<'_>, raw: &RawValue) -> Answer<Checked> {
    let event: BatchEvent = decode(raw.get().as_bytes())?;
    gate.check(event.into_incoming()?)
}

impl BatchResult {
    fn new(accepted: Result<EventId, &Problem>) -> Self {
        match accepted {
            Ok(id) => Self { status: StatusCode::ACCEPTED.as_u16(), id: Some(id), error: None },
            Err(problem) => Self { status: problem.body.status, id: None, error: Some(problem.body.clone()) },
        }
    }
}
