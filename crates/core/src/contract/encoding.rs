//! How bytes are written as text.

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

/// How bytes are written as text, in signatures and secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Standard base64 with padding.
    Base64,
}

impl Encoding {
    /// Bytes to text.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
        }
    }

    /// Text to bytes; `None` unless it is exactly what [`Self::encode`] writes.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => HEXLOWER.decode(text.as_bytes()).ok(),
            Self::Base64 => BASE64.decode(text.as_bytes()).ok(),
        }
    }

    /// Its name in messages.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Hex => "lower-case hex",
            Self::Base64 => "base64",
        }
    }
}
