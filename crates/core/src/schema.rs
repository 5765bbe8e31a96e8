//! An event type's optional JSON Schema (2020-12), which its data must meet at intake.
//!
//! A schema is data from outside, so it is bounded. It refers to nothing outside itself and nothing is
//! ever fetched for it; its regular expressions run in time linear to the text; and how often it looks
//! at one value, or through the data of one event, has limits too. `format` and the `content…` keywords
//! annotate and refuse nothing, as is 2020-12's default.

mod effort;
mod metered;
mod places;
mod references;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use self::metered::{Meter, Metered, Reading};
use self::places::Places;
use crate::problem::Rejection;

/// The largest schema, in bytes of its compact JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How deep a schema's arrays and objects nest at most.
pub const SCHEMA_DEPTH_MAX: usize = 32;

/// The only dialect, as `$schema` names it.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The most memory that one compiled pattern takes, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// The longest account of a failure, in characters: it may quote from the schema.
const WORDS_MAX: usize = 300;
/// How many values a check may look at, counting each as often as it is looked at: far more than the
/// largest event has, and well below a second.
const READINGS_MAX: u32 = 10_000_000;
/// The same for finding the first fault, which gathers every alternative's failures in memory.
const READINGS_TO_FAULT_MAX: u32 = 500_000;

/// A compiled schema; clones share it.
#[derive(Clone)]
pub struct EventSchema(Arc<Compiled>);

struct Compiled {
    source: Value,
    validator: Validator<Metered>,
}

/// Why a JSON value is no schema that events can be checked against.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SchemaError {
    /// JSON Pointer of the fault inside the schema; empty for the whole.
    pub pointer: String,
    /// What is wrong there, and what to do.
    pub message: String,
}

impl EventSchema {
    /// Checks a schema against its bounds and the 2020-12 meta-schema, and compiles it.
    pub fn compile(source: &Value) -> Result<Self, SchemaError> {
        check_bounds(source)?;
        let places = Places::of(source)?;
        effort::check(&places, &references::check(&places)?)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options_for::<Metered>()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(false)
            .offline();
        let validator = options.build(source).map_err(|error| refusal(&error))?;
        Ok(Self(Arc::new(Compiled { source: source.clone(), validator })))
    }

    /// The schema as it was given.
    pub fn source(&self) -> &Value {
        &self.0.source
    }

    /// Checks an event's raw data, and rejects it for the first thing that is wrong: with the reason
    /// `schema` and a pointer into the event, which begins with `/data`. The words quote the schema, never
    /// the data's values.
    ///
    /// Numbers are read as 64-bit integers or doubles; data with a number beyond those is rejected, and so
    /// is data that takes too many steps to check. Where only the place takes too many, the pointer is
    /// `/data`.
    pub fn validate(&self, data: &[u8]) -> Result<(), Rejection> {
        let data: Value = serde_json::from_slice(data).map_err(|error| {
            rejection("", &format!("cannot be read to check it against its event type's schema: {error}"))
        })?;
        let meter = Meter::new(READINGS_MAX);
        let valid = self.0.validator.is_valid(Reading::new(&data, &meter));
        if meter.is_spent() {
            return Err(rejection("", "takes too many steps to check against its event type's schema"));
        }
        if valid { Ok(()) } else { Err(self.first_fault(&data)) }
    }

    fn first_fault(&self, data: &Value) -> Rejection {
        let meter = Meter::new(READINGS_TO_FAULT_MAX);
        let found = self.0.validator.validate(Reading::new(data, &meter));
        match found {
            Err(error) if !meter.is_spent() => {
                let words = shortened(&error.masked_with("the value").to_string());
                rejection(error.instance_path().as_str(), &format!("does not meet its event type's schema: {words}"))
            }
            _ => rejection("", "does not meet its event type's schema, in a place that takes too many steps to find"),
        }
    }
}

fn rejection(pointer: &str, fault: &str) -> Rejection {
    Rejection::new("schema", format!("/data{pointer}"), format!("the data {fault}"))
}

impl fmt::Debug for EventSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventSchema").field(&self.0.source).finish()
    }
}

impl PartialEq for EventSchema {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for EventSchema {}

impl SchemaError {
    fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

fn check_bounds(source: &Value) -> Result<(), SchemaError> {
    if !(source.is_object() || source.is_boolean()) {
        return Err(SchemaError::new("", "a schema is an object, or true or false"));
    }
    let bytes = source.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        let message = format!("a schema takes at most {SCHEMA_BYTES_MAX} bytes and this one takes {bytes}");
        return Err(SchemaError::new("", message));
    }
    if !nests_within(source, SCHEMA_DEPTH_MAX) {
        return Err(SchemaError::new("", format!("a schema nests at most {SCHEMA_DEPTH_MAX} deep")));
    }
    Ok(())
}

fn nests_within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| nests_within(item, depth - 1)),
        Value::Object(fields) => depth > 0 && fields.values().all(|field| nests_within(field, depth - 1)),
        _ => true,
    }
}

/// What the compiler has against a schema. It knows a bad pattern only as a bad `format`.
fn refusal(error: &ValidationError<'_>) -> SchemaError {
    let message = match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => {
            let pattern = shortened(&error.instance().to_string());
            format!(
                "the pattern {pattern} cannot be used: it must be a regular expression without look-around and \
                 back-references, and small enough to match in linear time"
            )
        }
        ValidationErrorKind::Referencing(_) => format!("a reference leads nowhere: {}", shortened(&error.to_string())),
        _ => format!("not valid as JSON Schema 2020-12: {}", shortened(&error.to_string())),
    };
    SchemaError::new(error.instance_path().as_str(), message)
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}
