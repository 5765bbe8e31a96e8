//! How a request is signed.

use serde::Deserialize;

use super::check::{Invalid, ensure, header_name};
use super::encoding::Encoding;

/// How a request is signed: HMAC-SHA256 over [`Signature::content`]; the header's value is the lead, if
/// any, and one item per signature, joined by the separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    header: String,
    content: Vec<Piece>,
    key: KeyDerivation,
    encoding: Encoding,
    lead: Option<Affix>,
    item: Affix,
    ed25519_item: Option<Affix>,
    separator: String,
}

/// A piece of the signed content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Literal(String),
    /// The event's id.
    Id,
    /// Unix seconds when this attempt was signed.
    Timestamp,
    /// The body's bytes.
    Body,
}

/// How a secret's text becomes the HMAC's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDerivation {
    /// Its UTF-8 bytes, prefix included.
    Utf8,
    /// What the base64 after its prefix decodes to.
    Base64AfterPrefix,
}

/// The text before and after a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affix {
    before: String,
    after: String,
}

impl Affix {
    /// Appends the value within its affix.
    pub fn write(&self, value: &str, out: &mut String) {
        out.push_str(&self.before);
        out.push_str(value);
        out.push_str(&self.after);
    }

    /// The value within; `None` where the text has another form.
    pub fn read<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.strip_prefix(&self.before)?.strip_suffix(&self.after)
    }

    fn parse(field: &str, text: &str, slot: &str) -> Result<Self, Invalid> {
        let (before, after) =
            text.split_once(slot).ok_or_else(|| Invalid::at(field, format!("must have the placeholder {slot}")))?;
        let visible = |part: &str| part.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"{}".contains(&byte));
        ensure(
            visible(before) && visible(after),
            field,
            format!("must be visible ASCII with no placeholder but one {slot}"),
        )?;
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    fn contains(&self, text: &str) -> bool {
        self.before.contains(text) || self.after.contains(text)
    }
}

impl Signature {
    /// The header that carries the signature.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What is signed, in order; [`Piece::Body`] occurs once.
    pub fn content(&self) -> &[Piece] {
        &self.content
    }

    /// How a secret becomes the key.
    pub fn key(&self) -> KeyDerivation {
        self.key
    }

    /// How a signature is written.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What stands first in the header and carries the attempt's timestamp.
    pub fn lead(&self) -> Option<&Affix> {
        self.lead.as_ref()
    }

    /// The form of one signature in the header.
    pub fn item(&self) -> &Affix {
        &self.item
    }

    /// The form of an Ed25519 signature, where the contract has them; always base64.
    pub fn ed25519_item(&self) -> Option<&Affix> {
        self.ed25519_item.as_ref()
    }

    /// What stands between lead and items; empty where the header holds a single item.
    pub fn separator(&self) -> &str {
        &self.separator
    }

    /// Whether the attempt's time is signed, so that a replayed request can be told by its age.
    pub fn covers_timestamp(&self) -> bool {
        self.content.contains(&Piece::Timestamp)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    header: String,
    content: String,
    key: KeyDerivation,
    encoding: Encoding,
    lead: Option<String>,
    item: String,
    ed25519_item: Option<String>,
    #[serde(default)]
    separator: String,
}

impl RawSignature {
    pub(super) fn check(self) -> Result<Signature, Invalid> {
        let affix = |field: &str, text: Option<String>, slot: &str| {
            text.map(|text| Affix::parse(field, &text, slot)).transpose()
        };
        let signature = Signature {
            header: header_name("signature.header", self.header)?,
            content: parse_content(&self.content)?,
            key: self.key,
            encoding: self.encoding,
            lead: affix("signature.lead", self.lead, "{timestamp}")?,
            item: Affix::parse("signature.item", &self.item, "{signature}")?,
            ed25519_item: affix("signature.ed25519_item", self.ed25519_item, "{signature}")?,
            separator: self.separator,
        };
        check_separator(&signature)?;
        Ok(signature)
    }
}

fn parse_content(text: &str) -> Result<Vec<Piece>, Invalid> {
    let wrong = || Invalid::at("signature.content", "knows no placeholders but {id}, {timestamp} and {body}");
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (slot, tail) = tail.split_once('}').ok_or_else(wrong)?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        pieces.push(match slot {
            "id" => Piece::Id,
            "timestamp" => Piece::Timestamp,
            "body" => Piece::Body,
            _ => return Err(wrong()),
        });
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    let bodies = pieces.iter().filter(|piece| **piece == Piece::Body).count();
    ensure(bodies == 1, "signature.content", "must have {body} exactly once")?;
    Ok(pieces)
}

/// A receiver splits the header at the separator, so that must not occur elsewhere in it.
fn check_separator(signature: &Signature) -> Result<(), Invalid> {
    let field = "signature.separator";
    let separator = signature.separator.as_str();
    let several = signature.lead.is_some() || signature.ed25519_item.is_some();
    ensure(!several || !separator.is_empty(), field, "must be set where there is a lead or an ed25519_item")?;
    if separator.is_empty() {
        return Ok(());
    }
    let apart = |byte: u8| (b' '..=b'~').contains(&byte) && !byte.is_ascii_alphanumeric() && !b"+/=".contains(&byte);
    ensure(separator.bytes().all(apart), field, "must not have characters that a signature can have")?;
    let affixes = [signature.lead.as_ref(), Some(&signature.item), signature.ed25519_item.as_ref()];
    let clash = affixes.into_iter().flatten().any(|affix| affix.contains(separator));
    ensure(!clash, field, "must not occur in lead, item or ed25519_item")
}
