//! An event as callers send it.

use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use whimbrel_core::event::TraceContext;
use whimbrel_core::intake::{IdempotencyKey, IncomingEvent, event_type};
use whimbrel_core::problem::Rejection;
use whimbrel_core::{TenantId, Timestamp};

/// An event to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEvent)]
pub(crate) struct NewEvent {
    /// What happened, in dot notation.
    #[serde(rename = "type")]
    #[schema(
        rename = "type",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        example = "user.created"
    )]
    event_type: String,
    /// Any JSON. Receivers get it byte for byte as it stands here, if their contract does not say otherwise.
    #[schema(value_type = Value, example = json!({"id": "user_123", "name": "John Doe"}))]
    data: Box<RawValue>,
    /// May repeat the tenant that the request acts for; another one is refused.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    tenant: Option<TenantId>,
    /// When it happened, if not now: within the retention period and at most a day ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
}

/// An event of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchEvent)]
pub(crate) struct BatchEvent {
    /// What happened, in dot notation.
    #[serde(rename = "type")]
    #[schema(
        rename = "type",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        example = "user.created"
    )]
    event_type: String,
    /// Any JSON.
    #[schema(value_type = Value, example = json!({"id": "user_123", "name": "John Doe"}))]
    data: Box<RawValue>,
    /// May repeat the tenant that the request acts for; another one is refused.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,64}$")]
    tenant: Option<TenantId>,
    /// When it happened, if not now.
    #[schema(value_type = Option<String>, format = DateTime)]
    occurred_at: Option<Timestamp>,
    /// What the `Idempotency-Key` header is to a single event.
    #[schema(max_length = 1024)]
    idempotency_key: Option<String>,
}

/// A CloudEvent 1.0 in structured mode. Other attributes are allowed and not delivered.
///
/// For the documentation only: [`whimbrel_core::intake::CloudEvent`] reads it.
#[derive(ToSchema)]
#[schema(as = CloudEvent)]
#[expect(dead_code, reason = "describes what another type reads")]
pub(crate) struct CloudEventDoc {
    /// `1.0`.
    #[schema(example = "1.0", pattern = r"^1\.0$")]
    specversion: String,
    /// Unique within the source.
    #[schema(min_length = 1, max_length = 1024)]
    id: String,
    /// Who produced it.
    #[schema(min_length = 1, max_length = 1024, example = "/billing")]
    source: String,
    /// What happened, in dot notation.
    #[schema(
        rename = "type",
        max_length = 128,
        pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
        example = "user.created"
    )]
    event_type: String,
    /// When it happened.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// JSON, if it stands here: `application/json` or another `+json`.
    #[schema(example = "application/json")]
    datacontenttype: Option<String>,
    /// Any JSON. `data_base64` is refused.
    #[schema(value_type = Value)]
    data: String,
    /// May repeat the tenant that the request acts for.
    tenant: Option<String>,
    /// The publisher's trace.
    traceparent: Option<String>,
    /// The publisher's trace.
    tracestate: Option<String>,
}

impl NewEvent {
    /// With the request's key.
    pub(super) fn into_incoming(self, key: Option<IdempotencyKey>) -> Result<IncomingEvent, Rejection> {
        Ok(IncomingEvent {
            tenant: self.tenant,
            event_type: event_type(&self.event_type)?,
            data: String::from(Box::<str>::from(self.data)).into(),
            occurred_at: self.occurred_at,
            key,
            trace: TraceContext::default(),
        })
    }
}

impl BatchEvent {
    /// With its own key.
    pub(super) fn into_incoming(self) -> Result<IncomingEvent, Rejection> {
        let key = self.idempotency_key.as_deref().map(IdempotencyKey::plain).transpose();
        let key = key.map_err(|rejection| Rejection { pointer: "/idempotency_key".into(), ..rejection })?;
        let event = NewEvent {
            event_type: self.event_type,
            data: self.data,
            tenant: self.tenant,
            occurred_at: self.occurred_at,
        };
        event.into_incoming(key)
    }
}
