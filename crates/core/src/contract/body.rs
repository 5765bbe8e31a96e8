//! How the body of a request is made of an event.

use serde::Deserialize;

use super::check::{Invalid, ensure};

/// How the body of a request is made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyForm {
    shape: BodyShape,
    format: BodyFormat,
}

/// What stands around the publisher's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyShape {
    /// Nothing: the data is the body.
    Bare,
    /// An object with these fields, in this order.
    Envelope(Vec<EnvelopeField>),
}

/// One field of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeField {
    /// Its name on the wire.
    pub name: String,
    /// What it holds.
    pub value: FieldSource,
}

/// What a field of an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldSource {
    /// The event's id.
    EventId,
    /// The event's type.
    EventType,
    /// When it happened: RFC 3339, UTC, whole seconds (rule 34).
    EventTimeRfc3339,
    /// The publisher's data.
    Data,
}

/// What becomes of the data's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// They stay as published.
    Raw,
    /// What ECMAScript's `JSON.stringify(JSON.parse(data))` gives, where it can read the data unchanged.
    Compact,
}

impl BodyForm {
    /// What stands around the data.
    pub fn shape(&self) -> &BodyShape {
        &self.shape
    }

    /// What becomes of the data's bytes.
    pub fn format(&self) -> BodyFormat {
        self.format
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBody {
    kind: RawKind,
    format: BodyFormat,
    #[serde(default)]
    fields: Vec<EnvelopeField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Bare,
    Envelope,
}

impl RawBody {
    pub(super) fn check(self) -> Result<BodyForm, Invalid> {
        let shape = match self.kind {
            RawKind::Bare => {
                ensure(self.fields.is_empty(), "body.fields", "must be left out where body.kind is `bare`")?;
                BodyShape::Bare
            }
            RawKind::Envelope => BodyShape::Envelope(check_fields(self.fields)?),
        };
        Ok(BodyForm { shape, format: self.format })
    }
}

fn check_fields(fields: Vec<EnvelopeField>) -> Result<Vec<EnvelopeField>, Invalid> {
    let data = fields.iter().filter(|field| field.value == FieldSource::Data).count();
    ensure(data == 1, "body.fields", "must have the value `data` exactly once")?;
    for (place, field) in fields.iter().enumerate() {
        let at = format!("body.fields[{place}].name");
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let named = field.name.starts_with(|first: char| first.is_ascii_alphabetic()) && field.name.bytes().all(word);
        ensure(named, &at, format!("`{}` must be a letter followed by letters, digits and _", field.name))?;
        let again = fields[..place].iter().any(|earlier| earlier.name == field.name);
        ensure(!again, &at, format!("`{}` stands there twice", field.name))?;
    }
    Ok(fields)
}
