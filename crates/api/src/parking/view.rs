//! A parked message as it is shown.

use data_encoding::BASE64;
use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::ParkedId;
use whimbrel_core::parking::Parked;

/// Characters of a preview.
const PREVIEW_MAX: usize = 200;

/// A message that could not be processed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedMessage)]
pub struct ParkedView {
    /// Names it while it lies there. Two messages that are the same in everything have one id.
    #[schema(value_type = String, example = "prk_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: ParkedId,
    /// Where it came from, and where it goes when it is brought back; null when that cannot be told.
    #[schema(example = "events")]
    source: Option<String>,
    /// A stable word and what was wrong.
    #[schema(example = "unknown_tenant: there is no tenant `acme`")]
    reason: String,
    /// Since when, as far as it is known.
    #[schema(format = DateTime)]
    parked_at: Option<String>,
    /// How often it was brought back before.
    redriven: u32,
    /// How to read it.
    #[schema(example = "application/json")]
    content_type: String,
    /// The publisher's id for it.
    message_id: Option<String>,
    /// The publisher's type for it.
    #[schema(example = "order.created")]
    message_type: Option<String>,
    /// Bytes of the message.
    size: usize,
    /// The beginning of it, where it is text.
    preview: Option<String>,
}

/// The same with all of its bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedMessageDetail)]
pub struct ParkedDetail {
    #[serde(flatten)]
    parked: ParkedView,
    /// The message, where it is text.
    text: Option<String>,
    /// The message as base64, where it is none.
    base64: Option<String>,
    /// The headers that it goes back with.
    headers: std::collections::BTreeMap<String, String>,
}

impl ParkedView {
    /// Of this message.
    pub fn new(parked: &Parked) -> Self {
        let origin = &parked.origin;
        Self {
            id: parked.id,
            source: parked.source.map(|source| source.to_string()),
            reason: parked.reason.clone(),
            parked_at: parked.parked_at.map(|at| at.to_string()),
            redriven: origin.redriven,
            content_type: parked.content_type.clone(),
            message_id: some(&origin.message_id),
            message_type: some(&origin.kind),
            size: parked.payload.len(),
            preview: text(&parked.payload).map(|text| text.chars().take(PREVIEW_MAX).collect()),
        }
    }
}

impl ParkedDetail {
    /// Of this message.
    pub fn new(parked: &Parked) -> Self {
        let text = text(&parked.payload).map(str::to_owned);
        let base64 = text.is_none().then(|| BASE64.encode(&parked.payload));
        let headers = parked.origin.headers.iter().cloned().collect();
        Self { parked: ParkedView::new(parked), text, base64, headers }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Bytes that are UTF-8 without control characters, but for those of JSON's white space.
fn text(payload: &[u8]) -> Option<&str> {
    let is_shown = |char: char| !char.is_control() || matches!(char, '\n' | '\r' | '\t');
    std::str::from_utf8(payload).ok().filter(|text| text.chars().all(is_shown))
}
