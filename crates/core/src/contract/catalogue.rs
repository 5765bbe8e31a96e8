//! The event types that a contract names.

use std::sync::Arc;

use serde::Deserialize;

use super::check::{Invalid, ensure, line};
use crate::subscription::EventType;

/// The event types that a contract names. The system's own, as [`super::TEST_EVENT`], are outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    /// Whether an event of any other type is refused.
    pub closed: bool,
    /// The types, in the provider's order.
    pub types: Vec<CatalogueType>,
}

/// One event type of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueType {
    /// Its name.
    pub name: EventType,
    /// What it tells, in one line.
    pub description: String,
    /// A sample of its data, as JSON text, for documentation and demos.
    pub example: Option<Arc<str>>,
}

impl Catalogue {
    /// Whether upstream may publish this type.
    pub fn allows(&self, event_type: &EventType) -> bool {
        !self.closed || self.find(event_type.as_str()).is_some()
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&CatalogueType> {
        self.types.iter().find(|entry| entry.name.as_str() == name)
    }

    /// The sample data of this type.
    pub fn example(&self, name: &str) -> Option<&str> {
        self.find(name)?.example.as_deref()
    }

    /// Attaches a sample. Its last line break is the file's, not the sample's.
    pub(super) fn attach(&mut self, name: &str, sample: &str) -> Result<(), String> {
        let entry = self
            .types
            .iter_mut()
            .find(|entry| entry.name.as_str() == name)
            .ok_or_else(|| format!("the contract names no event type `{name}`"))?;
        let sample = sample.strip_suffix('\n').unwrap_or(sample);
        serde_json::from_str::<&serde_json::value::RawValue>(sample)
            .map_err(|error| format!("is not JSON: {error}"))?;
        entry.example = Some(sample.into());
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCatalogue {
    closed: bool,
    #[serde(default)]
    types: Vec<RawType>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawType {
    name: String,
    description: String,
}

impl RawCatalogue {
    pub(super) fn check(self) -> Result<Catalogue, Invalid> {
        ensure(
            !self.closed || !self.types.is_empty(),
            "catalogue.types",
            "must name a type, since catalogue.closed is true",
        )?;
        let mut types: Vec<CatalogueType> = Vec::with_capacity(self.types.len());
        for (place, raw) in self.types.into_iter().enumerate() {
            let at = format!("catalogue.types[{place}].name");
            let name = EventType::try_new(&raw.name).map_err(|error| Invalid::at(&at, error.to_string()))?;
            ensure(
                !name.is_system(),
                &at,
                format!("`{name}` is one of Whimbrel's own events, which every contract has"),
            )?;
            ensure(types.iter().all(|earlier| earlier.name != name), &at, format!("`{name}` stands there twice"))?;
            let description = line(&format!("catalogue.types[{place}].description"), raw.description)?;
            types.push(CatalogueType { name, description, example: None });
        }
        Ok(Catalogue { closed: self.closed, types })
    }
}
