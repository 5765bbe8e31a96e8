//! Secrets: made, accepted and held. Their text leaves this type through [`Secret::expose`] only.

use std::fmt;
use std::time::Duration;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::contract::{Contract, KeyDerivation, OwnSecret, SecretForm};
use crate::time::Timestamp;

pub use crate::signing::ed25519::{PublicKey, SigningKey};

/// What bodies are signed with: the text that the receiver holds too.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

/// Why a text cannot be a secret or a key. Never holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The contract generates its secrets.
    #[error("the contract `{contract}` generates its secrets: leave the secret out")]
    GeneratedOnly {
        /// Which contract.
        contract: String,
    },
    /// Not the form that the contract needs.
    #[error("a secret under the contract `{contract}` must be {form}")]
    Form {
        /// Which contract.
        contract: String,
        /// The form, in words.
        form: String,
    },
    /// Not an Ed25519 key.
    #[error("an Ed25519 {kind} must be `{prefix}` followed by base64 of {bytes} bytes that form a key")]
    Ed25519 {
        /// `signing key` or `public key`.
        kind: &'static str,
        /// What it starts with.
        prefix: &'static str,
        /// How many bytes follow.
        bytes: usize,
    },
}

impl Secret {
    /// A text that was accepted before: no check.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new one in the contract's form; `fill` gives random bytes.
    pub fn generate(contract: &Contract, fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let form = contract.secret();
        let mut random = Zeroizing::new(vec![0; form.bytes()]);
        fill(&mut random);
        let encoded = Zeroizing::new(form.encoding().encode(&random));
        // Allocated whole: growing would leave copies behind.
        let mut text = String::with_capacity(form.prefix().len() + encoded.len());
        text.push_str(form.prefix());
        text.push_str(&encoded);
        Self(text)
    }

    /// The caller's own, if the contract takes it.
    pub fn accept(contract: &Contract, text: &str) -> Result<Self, SecretError> {
        let name = || contract.name().to_string();
        let form = contract.secret();
        let own = form.own().ok_or_else(|| SecretError::GeneratedOnly { contract: name() })?;
        let fits = match own {
            OwnSecret::Text { chars_min, chars_max } => {
                let clean = text.trim() == text && !text.contains(char::is_control);
                clean && (chars_min..=chars_max).contains(&text.chars().count())
            }
            OwnSecret::SameForm { bytes_min, bytes_max } => {
                encoded_bytes(form, text).is_some_and(|bytes| (bytes_min..=bytes_max).contains(&bytes.len()))
            }
        };
        if fits { Ok(Self::new(text)) } else { Err(SecretError::Form { contract: name(), form: describe(form, own) }) }
    }

    /// The text. For signing, sealing and the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The HMAC key that the contract derives from it.
    pub fn key(&self, contract: &Contract) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        match contract.signature().key() {
            KeyDerivation::Utf8 => Ok(Zeroizing::new(self.0.as_bytes().to_vec())),
            KeyDerivation::Base64AfterPrefix => {
                encoded_bytes(contract.secret(), &self.0).ok_or_else(|| SecretError::Form {
                    contract: contract.name().to_string(),
                    form: format!(
                        "`{}` followed by {}",
                        contract.secret().prefix(),
                        contract.secret().encoding().label()
                    ),
                })
            }
        }
    }
}

fn encoded_bytes(form: &SecretForm, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    form.encoding().decode(text.strip_prefix(form.prefix())?).map(Zeroizing::new)
}

fn describe(form: &SecretForm, own: OwnSecret) -> String {
    match own {
        OwnSecret::Text { chars_min, chars_max } => {
            format!("{chars_min} to {chars_max} characters without control characters or surrounding white space")
        }
        OwnSecret::SameForm { bytes_min, bytes_max } => {
            format!("`{}` followed by {} of {bytes_min} to {bytes_max} bytes", form.prefix(), form.encoding().label())
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// What an endpoint's bodies are signed with: one secret, two while a rotation's overlap lasts, and an
/// Ed25519 key where its owner asked for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPair {
    /// Signs always.
    pub current: Secret,
    /// Signs too, until the time beside it.
    pub previous: Option<(Secret, Timestamp)>,
    /// Signs too, where the contract has a place for it.
    pub signing_key: Option<SigningKey>,
}

/// What a rotation led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The secrets from now on.
    pub secrets: SecretPair,
    /// Whether a secret whose overlap still ran stopped signing: at most two do (rule 30).
    pub dropped_oldest: bool,
}

impl SecretPair {
    /// One secret, as at creation.
    pub fn new(current: Secret) -> Self {
        Self { current, previous: None, signing_key: None }
    }

    /// Puts `new` in front; what was current signs too until `overlap` has passed.
    pub fn rotate(self, new: Secret, now: Timestamp, overlap: Duration) -> Rotated {
        let dropped_oldest = self.previous.is_some_and(|(_, expires_at)| now < expires_at);
        let previous = (!overlap.is_zero()).then(|| (self.current, now + overlap));
        let secrets = Self { current: new, previous, signing_key: self.signing_key };
        Rotated { secrets, dropped_oldest }
    }

    /// The previous secret, if it still signs.
    pub fn previous_at(&self, now: Timestamp) -> Option<&Secret> {
        self.previous.as_ref().filter(|(_, expires_at)| now < *expires_at).map(|(secret, _)| secret)
    }

    /// `whpk_…`, for receivers that verify with a public key.
    pub fn public_key_text(&self) -> Option<String> {
        self.signing_key.as_ref().map(|key| key.public().to_string())
    }

    /// For sealing: a version, then length-prefixed fields.
    pub fn to_bytes(&self) -> Vec<u8> {
        let previous = self.previous.as_ref().map_or(0, |(secret, _)| 10 + secret.0.len());
        let mut out = Vec::with_capacity(5 + self.current.0.len() + previous + 32);
        out.push(FORMAT);
        put_text(&mut out, &self.current);
        out.push(u8::from(self.previous.is_some()));
        if let Some((secret, expires_at)) = &self.previous {
            out.extend_from_slice(&expires_at.as_micros().to_be_bytes());
            put_text(&mut out, secret);
        }
        out.push(u8::from(self.signing_key.is_some()));
        if let Some(key) = &self.signing_key {
            out.extend_from_slice(key.seed().as_slice());
        }
        out
    }

    /// The reverse of [`Self::to_bytes`]; `None` for anything else.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let [FORMAT] = take::<1>(&mut bytes)? else { return None };
        let current = take_text(&mut bytes)?;
        let previous = match take(&mut bytes)? {
            [0] => None,
            [_] => Some(take_expiring(&mut bytes)?),
        };
        let signing_key = match take(&mut bytes)? {
            [0] => None,
            [_] => Some(SigningKey::from_seed(&Zeroizing::new(take(&mut bytes)?))),
        };
        bytes.is_empty().then_some(Self { current, previous, signing_key })
    }
}

/// The version of [`SecretPair::to_bytes`].
const FORMAT: u8 = 1;

fn put_text(out: &mut Vec<u8>, secret: &Secret) {
    let length = u16::try_from(secret.0.len()).expect("contracts bound a secret to a few KiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(secret.0.as_bytes());
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_expiring(bytes: &mut &[u8]) -> Option<(Secret, Timestamp)> {
    let expires_at = Timestamp::from_micros(i64::from_be_bytes(take(bytes)?));
    Some((take_text(bytes)?, expires_at))
}

fn take_text(bytes: &mut &[u8]) -> Option<Secret> {
    let length = usize::from(u16::from_be_bytes(take(bytes)?));
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(Secret::new)
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
