//! What a receiver saw of one request.

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;
use whimbrel_core::contract::{BodyShape, Contract, ContractName, FieldSource, HeaderSource};
use whimbrel_core::{EventId, Timestamp};

/// One request, as its receiver saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// When it had come in whole.
    pub(crate) at: Timestamp,
    /// The contract it was verified under.
    pub(crate) contract: ContractName,
    /// Where it was sent to.
    pub(crate) path: String,
    /// The event's id, where the contract sends it.
    pub(crate) event_id: Option<String>,
    /// The event's type, where the contract sends it.
    pub(crate) event_type: Option<String>,
    /// How many requests for this event have come, this one included.
    pub(crate) attempt: u32,
    /// Why the signature does not hold, when it does not.
    pub(crate) refusal: Option<String>,
    /// What is answered.
    pub(crate) status: u16,
    /// As they came.
    pub(crate) headers: HeaderMap,
    /// As it came.
    pub(crate) body: Bytes,
}

impl Seen {
    /// Whether the signature holds.
    pub(crate) fn is_verified(&self) -> bool {
        self.refusal.is_none()
    }

    /// Whether the sender may count it as delivered.
    pub(crate) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long after the event's acceptance it came; `None` for an id that is not Whimbrel's.
    pub(crate) fn after(&self) -> Option<std::time::Duration> {
        let id: EventId = self.event_id.as_deref()?.parse().ok()?;
        Some(self.at.since(id.created_at()))
    }
}

/// A header's value as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The event's id and type, from wherever the contract puts them.
pub(super) fn event(contract: &Contract, headers: &HeaderMap, body: &[u8]) -> (Option<String>, Option<String>) {
    let envelope = match contract.body().shape() {
        BodyShape::Bare => Value::Null,
        BodyShape::Envelope(_) => serde_json::from_slice(body).unwrap_or_default(),
    };
    let find = |in_header: &HeaderSource, in_body: FieldSource| {
        let name = contract.headers().carrying(in_header);
        let from_header = name.and_then(|name| header(headers, name)).map(str::to_owned);
        from_header.or_else(|| field(contract, &envelope, in_body))
    };
    (find(&HeaderSource::EventId, FieldSource::EventId), find(&HeaderSource::EventType, FieldSource::EventType))
}

fn field(contract: &Contract, envelope: &Value, source: FieldSource) -> Option<String> {
    let BodyShape::Envelope(fields) = contract.body().shape() else { return None };
    let field = fields.iter().find(|field| field.value == source)?;
    envelope.get(&field.name)?.as_str().map(str::to_owned)
}
