//! `PUT /v1/event-types/{type}`

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use whimbrel_core::contract::Contract;
use whimbrel_core::port::EventTypeRow;
use whimbrel_core::problem::Rejection;
use whimbrel_core::schema::EventSchema;
use whimbrel_core::subscription::EventType;

use super::TAG;
use super::read::unknown;
use super::view::EventTypeDetail;
use crate::auth::Caller;
use crate::extract::{ApiJson, Id};
use crate::problem::{Answer, FieldError, Problem, ProblemBody};
use crate::state::SharedState;
use crate::text;

/// Event types about which a tenant can say something, at most.
const TYPES_MAX: usize = 500;

/// What to say about an event type, all of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutEventType {
    /// What it means; left out, the contract's words are shown.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// A JSON Schema (2020-12) that its events' data must meet: at most 64 KiB, without references to anything outside
    /// itself. Left out, any data will do.
    #[schema(value_type = Option<Value>, example = json!({"type": "object", "required": ["id"]}))]
    schema: Option<Box<RawValue>>,
}

/// Describe an event type
///
/// From then on its events are checked against the schema, and refused with the place of the fault. Events that were
/// accepted before stay as they are.
#[utoipa::path(
    put,
    path = "/v1/event-types/{type}",
    tag = TAG,
    params(("type" = String, Path, description = "The event type", example = "user.created")),
    request_body = PutEventType,
    responses(
        (status = 200, description = "The event type as it is now", body = EventTypeDetail),
        (status = 409, description = "The tenant has described as many types as it may", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is invalid, or the contract does not have the type", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put_event_type(
    State(state): State<SharedState>,
    caller: Caller,
    Id(event_type): Id<EventType>,
    ApiJson(body): ApiJson<PutEventType>,
) -> Answer<Json<EventTypeDetail>> {
    let contract = caller.contract(&state)?;
    check_type(contract, &event_type)?;
    body.check().map_err(Problem::invalid)?;
    let tenant = &caller.tenant.id;
    check_room(&state.store.event_types(tenant).await?, &event_type)?;
    let row = EventTypeRow {
        event_type,
        description: body.description,
        schema: body.schema.map(|schema| schema.get().to_owned()),
        updated_at: state.clock.now(),
    };
    if !state.store.put_event_type(tenant, &row).await? {
        return Err(Problem::not_found(format!("there is no tenant `{tenant}`")));
    }
    tracing::info!(%tenant, event_type = %row.event_type, schema = row.schema.is_some(), "event type described");
    let shown = EventTypeDetail::new(&row.event_type, contract.catalogue(), Some(&row));
    shown.map(Json).ok_or_else(|| unknown(&row.event_type))
}

fn check_type(contract: &Contract, event_type: &EventType) -> Result<(), Rejection> {
    if event_type.is_system() {
        let message = format!("`{event_type}` is one of Whimbrel's own event types, which are as they are");
        return Err(Rejection::new("reserved_type", "", message));
    }
    if contract.catalogue().allows(event_type) {
        return Ok(());
    }
    let name = contract.name();
    let message = format!("`{event_type}` is not in the catalogue of the contract `{name}`, which is closed");
    Err(Rejection::new("unknown_type", "", message))
}

fn check_room(rows: &[EventTypeRow], event_type: &EventType) -> Answer<()> {
    if rows.len() < TYPES_MAX || rows.iter().any(|row| row.event_type == *event_type) {
        return Ok(());
    }
    let detail = format!("a tenant can describe {TYPES_MAX} event types; forget one first");
    Err(Problem::conflict("event_type_limit", detail))
}

impl PutEventType {
    fn check(&self) -> Result<(), Vec<FieldError>> {
        let description = self.description.as_deref().unwrap_or_default();
        let errors = [
            text::check("/description", description, text::DESCRIPTION_BYTES_MAX).err(),
            self.schema.as_deref().and_then(|schema| check_schema(schema).err()),
        ];
        let errors: Vec<FieldError> = errors.into_iter().flatten().collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn check_schema(schema: &RawValue) -> Result<(), FieldError> {
    let source = serde_json::from_str(schema.get())
        .map_err(|error| FieldError::new("/schema", format!("cannot be read as JSON: {error}")))?;
    let compiled = EventSchema::compile(&source);
    compiled.map(drop).map_err(|error| FieldError::new(format!("/schema{}", error.pointer), error.message))
}
