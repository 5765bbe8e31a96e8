//! What secrets look like.

use serde::Deserialize;

use super::check::{Invalid, ensure, header_value, within};
use super::encoding::Encoding;

/// The fewest random bytes of a generated secret.
const BYTES_MIN: usize = 16;
const BYTES_MAX: usize = 64;
const CHARS_MAX: usize = 1024;

/// What secrets look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretForm {
    prefix: String,
    encoding: Encoding,
    bytes: usize,
    own: Option<OwnSecret>,
    shown_once: bool,
}

/// Which secrets a caller may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OwnSecret {
    /// Any text of this length, in characters.
    Text {
        /// At least.
        chars_min: usize,
        /// At most.
        chars_max: usize,
    },
    /// The form of a generated one, with this many bytes.
    SameForm {
        /// At least.
        bytes_min: usize,
        /// At most.
        bytes_max: usize,
    },
}

impl SecretForm {
    /// What a generated secret starts with; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How its random bytes are written after the prefix.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many random bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Which secrets a caller may bring; `None` is none.
    pub fn own(&self) -> Option<OwnSecret> {
        self.own
    }

    /// Whether only the answer that made the secret shows it.
    pub fn shown_once(&self) -> bool {
        self.shown_once
    }

    /// Whether every secret is the prefix and encoded bytes.
    pub(super) fn is_always_encoded(&self) -> bool {
        !matches!(self.own, Some(OwnSecret::Text { .. }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecret {
    #[serde(default)]
    prefix: String,
    encoding: Encoding,
    bytes: usize,
    own: Option<OwnSecret>,
    shown_once: bool,
}

impl RawSecret {
    pub(super) fn check(self) -> Result<SecretForm, Invalid> {
        if !self.prefix.is_empty() {
            header_value("secret.prefix", self.prefix.clone())?;
        }
        within("secret.bytes", self.bytes, BYTES_MIN..=BYTES_MAX)?;
        match self.own {
            Some(OwnSecret::Text { chars_min, chars_max }) => {
                within("secret.own.text.chars_min", chars_min, 1..=CHARS_MAX)?;
                within("secret.own.text.chars_max", chars_max, chars_min..=CHARS_MAX)?;
            }
            Some(OwnSecret::SameForm { bytes_min, bytes_max }) => {
                within("secret.own.same_form.bytes_min", bytes_min, BYTES_MIN..=BYTES_MAX)?;
                within("secret.own.same_form.bytes_max", bytes_max, bytes_min..=BYTES_MAX)?;
                let holds = (bytes_min..=bytes_max).contains(&self.bytes);
                ensure(holds, "secret.bytes", "must lie within secret.own.same_form's bounds")?;
            }
            None => {}
        }
        let Self { prefix, encoding, bytes, own, shown_once } = self;
        Ok(SecretForm { prefix, encoding, bytes, own, shown_once })
    }
}
