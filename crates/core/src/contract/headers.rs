//! Headers and signatures as data.

use serde::Deserialize;

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// The event's id.
    EventId,
    /// The event's type.
    EventType,
    /// When the event happened, seconds since the epoch: the same on every attempt.
    EventTimestamp,
    /// When this attempt is made, seconds since the epoch.
    AttemptTimestamp,
    /// These words.
    Literal(String),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These words.
    Text(String),
    /// The event's id.
    Id,
    /// When this attempt is made, seconds since the epoch.
    Timestamp,
    /// The body.
    Body,
    /// A signature.
    Signature,
}

/// Words with placeholders: `{id}`, `{timestamp}`, `{body}`, `{signature}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template; `None` for an unknown or unclosed placeholder.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = open + rest[open..].find('}')?;
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            parts.push(match &rest[open + 1..close] {
                "id" => Part::Id,
                "timestamp" => Part::Timestamp,
                "body" => Part::Body,
                "signature" => Part::Signature,
                _ => return None,
            });
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Some(Self(parts))
    }

    /// The pieces in order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether a placeholder is used.
    pub fn has(&self, part: &Part) -> bool {
        self.0.contains(part)
    }
}

/// How an HMAC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// How a secret becomes an HMAC key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// Its UTF-8 bytes, prefix and all.
    Utf8,
    /// The base64-decoded bytes after the secret's prefix.
    Base64AfterPrefix,
}

/// The layout of the signature header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureForm {
    /// Written once, in front: `t={timestamp},` for example.
    pub prefix: Template,
    /// Written for each signature: `v1={signature}`.
    pub each: Template,
    /// Between signatures.
    pub separator: String,
}

/// Where the old secret's signature goes while both are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// Beside the new one.
    SameHeader,
    /// Into a header of its own.
    OwnHeader(String),
}

/// How bodies are signed: HMAC-SHA256, and optionally Ed25519 beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRule {
    /// The header.
    pub header: String,
    /// What is signed.
    pub content: Template,
    /// The key.
    pub key: KeyForm,
    /// The encoding.
    pub encoding: Encoding,
    /// The header's layout.
    pub form: SignatureForm,
    /// During a rotation.
    pub rotation: Rotation,
    /// The layout of an Ed25519 signature in the same header, where the contract knows them.
    pub ed25519: Option<Template>,
}
