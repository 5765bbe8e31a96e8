//! An event type as the API shows it.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use whimbrel_core::contract::Catalogue;
use whimbrel_core::port::EventTypeRow;
use whimbrel_core::subscription::EventType;

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(crate) struct EventTypeView {
    /// Its name.
    #[serde(rename = "type")]
    #[schema(rename = "type", example = "user.created")]
    name: String,
    /// What it means: in the tenant's words, or else the contract's.
    description: Option<String>,
    /// Whether its events must meet a schema.
    has_schema: bool,
}

/// An event type with its schema.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventTypeWithSchema)]
pub(crate) struct EventTypeDetail {
    #[serde(flatten)]
    shown: EventTypeView,
    /// The JSON Schema (2020-12) that its events' data must meet, as it was given.
    #[schema(value_type = Option<Value>)]
    schema: Option<Box<RawValue>>,
    /// When the tenant last said something about it.
    #[schema(format = DateTime)]
    updated_at: Option<String>,
}

impl EventTypeView {
    /// What contract and tenant say of a type; `None` when neither says anything, or the contract does not have it.
    pub(super) fn new(event_type: &EventType, catalogue: &Catalogue, row: Option<&EventTypeRow>) -> Option<Self> {
        let entry = catalogue.find(event_type.as_str());
        if !catalogue.allows(event_type) || (entry.is_none() && row.is_none()) {
            return None;
        }
        let own = row.and_then(|row| row.description.clone());
        Some(Self {
            name: event_type.to_string(),
            description: own.or_else(|| entry.map(|entry| entry.description.clone())),
            has_schema: row.is_some_and(|row| row.schema.is_some()),
        })
    }

    /// The whole catalogue: the contract's types in its order, then the tenant's own.
    pub(super) fn all(catalogue: &Catalogue, rows: &[EventTypeRow]) -> Vec<Self> {
        let of_contract = catalogue.types.iter().map(|entry| &entry.name);
        let of_tenant = rows.iter().map(|row| &row.event_type);
        let of_tenant = of_tenant.filter(|event_type| catalogue.find(event_type.as_str()).is_none());
        let row_of = |event_type: &EventType| rows.iter().find(|row| row.event_type == *event_type);
        of_contract.chain(of_tenant).filter_map(|name| Self::new(name, catalogue, row_of(name))).collect()
    }
}

impl EventTypeDetail {
    /// As [`EventTypeView::new`].
    pub(super) fn new(event_type: &EventType, catalogue: &Catalogue, row: Option<&EventTypeRow>) -> Option<Self> {
        let schema = row.and_then(|row| row.schema.clone()).and_then(|text| RawValue::from_string(text).ok());
        Some(Self {
            shown: EventTypeView::new(event_type, catalogue, row)?,
            schema,
            updated_at: row.map(|row| row.updated_at.to_string()),
        })
    }
}
