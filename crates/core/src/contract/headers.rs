//! The headers of a request, besides the signature's.

use serde::Deserialize;

use super::check::{Invalid, ensure, header_name, header_value};

/// The headers of a request, besides the signature's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    user_agent: String,
    content_type: String,
    fields: Vec<HeaderField>,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderField {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub value: HeaderSource,
}

/// What a header holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderSource {
    /// The event's id: the same on every attempt and replay.
    EventId,
    /// The event's type.
    EventType,
    /// Unix seconds when the event happened: the same on every attempt.
    EventTimestampUnix,
    /// Unix seconds of this attempt.
    AttemptTimestampUnix,
    /// Always this.
    Literal(String),
}

impl Headers {
    /// `User-Agent`.
    pub fn user_agent(&self) -> &str {
        &self.user_agent
    }

    /// `Content-Type`.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The others, in order.
    pub fn fields(&self) -> &[HeaderField] {
        &self.fields
    }

    /// Those that are the same in every request: names and values.
    pub fn constant(&self) -> impl Iterator<Item = (&str, &str)> {
        let literals = self.fields.iter().filter_map(|field| match &field.value {
            HeaderSource::Literal(text) => Some((field.name.as_str(), text.as_str())),
            _ => None,
        });
        [("Content-Type", self.content_type()), ("User-Agent", self.user_agent())].into_iter().chain(literals)
    }

    /// The header that carries `source`.
    pub fn carrying(&self, source: &HeaderSource) -> Option<&str> {
        self.fields.iter().find(|field| field.value == *source).map(|field| field.name.as_str())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHeaders {
    user_agent: String,
    content_type: String,
    #[serde(default)]
    fields: Vec<HeaderField>,
}

impl RawHeaders {
    pub(super) fn check(self) -> Result<Headers, Invalid> {
        let user_agent = self.user_agent.replace("{version}", env!("CARGO_PKG_VERSION"));
        ensure(!user_agent.contains(['{', '}']), "headers.user_agent", "knows no placeholder but {version}")?;
        let mut fields = Vec::with_capacity(self.fields.len());
        for (place, field) in self.fields.into_iter().enumerate() {
            let name = header_name(&format!("headers.fields[{place}].name"), field.name)?;
            let value = match field.value {
                HeaderSource::Literal(text) => {
                    HeaderSource::Literal(header_value(&format!("headers.fields[{place}].value.literal"), text)?)
                }
                source => source,
            };
            fields.push(HeaderField { name, value });
        }
        Ok(Headers {
            user_agent: header_value("headers.user_agent", user_agent)?,
            content_type: header_value("headers.content_type", self.content_type)?,
            fields,
        })
    }
}
