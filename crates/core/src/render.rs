//! The body's bytes: rendered once, at fan-out. `data` goes out byte for byte, unless the contract wants it
//! as JavaScript prints it.

mod compact;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::contract::{BodyForm, Contract, DataFormat, EnvelopeField};
use crate::time::Timestamp;

pub use compact::compact;

/// A body, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What goes out on every attempt.
    pub body: Bytes,
    /// Where the data lies in it.
    pub data_range: Range<usize>,
    /// The contract wants the compact form, but JavaScript could not give this data back, so it went in
    /// as it was published: receivers that parse and print before they verify will refuse it.
    pub raw_fallback: bool,
}

/// Why no body can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The data is no JSON text.
    #[error("the data is not JSON: {0}")]
    NotJson(String),
    /// The rendered body is over the contract's limit.
    #[error("the body would have {bytes} bytes; the contract allows {bytes_max}")]
    TooLarge {
        /// As rendered.
        bytes: usize,
        /// The contract's limit.
        bytes_max: usize,
    },
}

/// Renders an event's body under a contract.
pub fn render(
    contract: &Contract,
    event_id: &str,
    event_type: &str,
    occurred_at: Timestamp,
    data: &Bytes,
) -> Result<Rendered, RenderError> {
    let text = std::str::from_utf8(data).map_err(|error| RenderError::NotJson(error.to_string()))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| RenderError::NotJson(error.to_string()))?;
    let compacted = match contract.data_format() {
        DataFormat::Raw => None,
        DataFormat::Compact => Some(compact(raw.get())),
    };
    let raw_fallback = matches!(compacted, Some(None));
    let written = compacted.flatten();
    let rendered = match contract.body() {
        BodyForm::Bare if written.is_none() => Rendered { body: data.clone(), data_range: 0..data.len(), raw_fallback },
        BodyForm::Bare => {
            let body = Bytes::from(written.unwrap_or_default());
            Rendered { data_range: 0..body.len(), body, raw_fallback }
        }
        BodyForm::Envelope(fields) => {
            let data = written.as_deref().unwrap_or(text.trim_matches([' ', '\t', '\n', '\r']));
            let (body, data_range) = envelope(fields, event_id, event_type, occurred_at, data);
            Rendered { body, data_range, raw_fallback }
        }
    };
    let bytes = rendered.body.len();
    let bytes_max = contract.payload_bytes_max();
    if bytes > bytes_max { Err(RenderError::TooLarge { bytes, bytes_max }) } else { Ok(rendered) }
}

fn envelope(
    fields: &[(String, EnvelopeField)],
    event_id: &str,
    event_type: &str,
    occurred_at: Timestamp,
    data: &str,
) -> (Bytes, Range<usize>) {
    let mut body = String::with_capacity(data.len() + 160);
    let mut range = 0..0;
    for (place, (name, field)) in fields.iter().enumerate() {
        body.push_str(if place == 0 { "{\"" } else { ",\"" });
        body.push_str(name);
        body.push_str("\":");
        match field {
            EnvelopeField::EventId => quoted(&mut body, event_id),
            EnvelopeField::EventType => quoted(&mut body, event_type),
            EnvelopeField::OccurredAt => quoted(&mut body, &Timestamp::from_secs(occurred_at.as_secs()).to_string()),
            EnvelopeField::Data => {
                let start = body.len();
                body.push_str(data);
                range = start..body.len();
            }
        }
    }
    body.push('}');
    (body.into(), range)
}

/// Ids, types and times need no escapes: their forms are checked where they are made.
fn quoted(body: &mut String, text: &str) {
    body.push('"');
    body.push_str(text);
    body.push('"');
}
