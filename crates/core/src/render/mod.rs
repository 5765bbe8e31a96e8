//! From an event to the bytes that its receivers get. Rendered once, at fan-out; the same on every attempt.

mod compact;
mod number;
mod text;

#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod node_tests;

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::contract::{BodyFormat, BodyShape, Contract, EnvelopeField, FieldSource};
use crate::time::Timestamp;

/// A body, ready to be signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes to send.
    pub body: Bytes,
    /// Where the publisher's data lies in them.
    pub data_range: Range<usize>,
    /// Whether the contract wants compact data and these could only be sent as published: a receiver
    /// that prints the body anew before it verifies will refuse it.
    pub raw_fallback: bool,
}

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The data is not JSON.
    #[error("the data is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The rendered body exceeds the contract's limit (rule 34).
    #[error("the payload has {bytes} bytes; the contract `{contract}` allows {bytes_max}")]
    TooLarge {
        /// Which contract.
        contract: String,
        /// How large it would be.
        bytes: usize,
        /// How large it may be.
        bytes_max: usize,
    },
    /// The event's time has no RFC 3339 form.
    #[error("the event's time lies outside the years 0 to 9999")]
    Time,
}

/// Renders an event. `data` is carried byte for byte, unless the contract wants it compact.
pub fn render(
    contract: &Contract,
    event_id: &str,
    event_type: &str,
    occurred_at: Timestamp,
    data: &Bytes,
) -> Result<Rendered, RenderError> {
    let json = serde_json::from_slice::<&RawValue>(data).map_err(RenderError::NotJson)?;
    let data = Data::new(contract.body().format(), json, data);
    let rendered = match contract.body().shape() {
        BodyShape::Bare => {
            Rendered { data_range: 0..data.bytes.len(), body: data.bytes, raw_fallback: data.raw_fallback }
        }
        BodyShape::Envelope(fields) => envelope(fields, event_id, event_type, occurred_at, &data)?,
    };
    let bytes_max = contract.limits().payload_bytes;
    if rendered.body.len() > bytes_max {
        return Err(RenderError::TooLarge {
            contract: contract.name().to_string(),
            bytes: rendered.body.len(),
            bytes_max,
        });
    }
    Ok(rendered)
}

/// The data as it goes out.
struct Data {
    bytes: Bytes,
    raw_fallback: bool,
}

impl Data {
    fn new(format: BodyFormat, json: &RawValue, published: &Bytes) -> Self {
        let raw = |raw_fallback| Self { bytes: published.clone(), raw_fallback };
        match format {
            BodyFormat::Raw => raw(false),
            BodyFormat::Compact => match compact::compact(json.get()) {
                Some(bytes) => Self { bytes: bytes.into(), raw_fallback: false },
                None => raw(true),
            },
        }
    }
}

fn envelope(
    fields: &[EnvelopeField],
    event_id: &str,
    event_type: &str,
    occurred_at: Timestamp,
    data: &Data,
) -> Result<Rendered, RenderError> {
    let mut out = Vec::with_capacity(data.bytes.len() + 128);
    let mut data_range = 0..0;
    for (place, field) in fields.iter().enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        text::write(&field.name, &mut out);
        out.push(b':');
        match field.value {
            FieldSource::EventId => text::write(event_id, &mut out),
            FieldSource::EventType => text::write(event_type, &mut out),
            FieldSource::EventTimeRfc3339 => text::write(&whole_seconds(occurred_at)?, &mut out),
            FieldSource::Data => {
                data_range = out.len()..out.len() + data.bytes.len();
                out.extend_from_slice(&data.bytes);
            }
        }
    }
    out.push(b'}');
    Ok(Rendered { body: out.into(), data_range, raw_fallback: data.raw_fallback })
}

fn whole_seconds(at: Timestamp) -> Result<String, RenderError> {
    let at = OffsetDateTime::from_unix_timestamp(at.as_secs()).map_err(|_| RenderError::Time)?;
    at.format(&Rfc3339).map_err(|_| RenderError::Time)
}
