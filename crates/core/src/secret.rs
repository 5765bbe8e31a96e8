//! Signing secrets: one, or two while a rotation's overlap lasts (rule 30).

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::contract::{Contract, Generate};
use crate::port::Clock;
use crate::time::Timestamp;

/// A secret as its owner holds it. Wiped on drop, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text as it is; [`Secret::own`] checks it against a contract.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The caller's own secret under a contract; an error says what form is needed.
    pub fn own(contract: &Contract, text: &str) -> Result<Self, String> {
        contract.secret().check(text).map(|()| Self::new(text))
    }

    /// A new secret in the contract's form.
    pub fn generate(contract: &Contract, clock: &dyn Clock) -> Self {
        let form = contract.secret();
        let (length, encode): (usize, fn(&[u8]) -> String) = match form.generate {
            Generate::Hex(bytes) => (bytes, |bytes| HEXLOWER.encode(bytes)),
            Generate::Base64(bytes) => (bytes, |bytes| BASE64.encode(bytes)),
        };
        let mut bytes = Zeroizing::new(vec![0; length]);
        clock.fill(&mut bytes);
        Self::new(format!("{}{}", form.prefix, encode(&bytes)))
    }

    /// The text. Only for signing, sealing, and showing it once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an endpoint's bodies are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPair {
    /// The valid one.
    pub current: Secret,
    /// The one before it, and when it stops being valid.
    pub previous: Option<(Secret, Timestamp)>,
    /// An Ed25519 key as `whsk_` and base64 of private ‖ public, where the endpoint has one.
    pub ed25519: Option<Secret>,
}

impl SecretPair {
    /// A single secret.
    pub fn single(current: Secret) -> Self {
        Self { current, previous: None, ed25519: None }
    }

    /// The previous one, while it is valid.
    pub fn previous_at(&self, now: Timestamp) -> Option<&Secret> {
        self.previous.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret)
    }

    /// With a new secret; the current one stays valid until `until`. True when a previous one that was
    /// still valid had to go.
    #[must_use]
    pub fn rotated(self, new: Secret, now: Timestamp, until: Timestamp) -> (Self, bool) {
        let dropped = self.previous_at(now).is_some();
        (Self { current: new, previous: Some((self.current, until)), ed25519: self.ed25519 }, dropped)
    }

    /// For sealing: lines of text, in this order: current, until in µs, previous, Ed25519.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (previous, until) = self.previous.as_ref().map_or(("", 0), |(secret, until)| (secret.expose(), until.as_micros()));
        let ed25519 = self.ed25519.as_ref().map_or("", Secret::expose);
        format!("{}\n{until}\n{previous}\n{ed25519}", self.current.expose()).into_bytes()
    }

    /// The reverse of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split('\n');
        let (current, until, previous, ed25519) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
        let until = Timestamp::from_micros(until.parse().ok()?);
        let some = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
        Some(Self {
            current: Secret::new(current),
            previous: some(previous).map(|secret| (secret, until)),
            ed25519: some(ed25519),
        })
    }
}

const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// A new Ed25519 key in its text form.
pub fn generate_ed25519(clock: &dyn Clock) -> Secret {
    let mut seed = Zeroizing::new([0; 32]);
    clock.fill(seed.as_mut());
    let key = SigningKey::from_bytes(&seed);
    Secret::new(format!("{PRIVATE_PREFIX}{}", BASE64.encode(&key.to_keypair_bytes())))
}

/// Reads a `whsk_…` key; `None` when it is none, or its halves do not belong together.
pub fn parse_ed25519(secret: &Secret) -> Option<SigningKey> {
    let bytes = Zeroizing::new(BASE64.decode(secret.expose().strip_prefix(PRIVATE_PREFIX)?.as_bytes()).ok()?);
    SigningKey::from_keypair_bytes(bytes.as_slice().try_into().ok()?).ok()
}

/// The `whpk_…` text of a key.
pub fn public_key(key: &SigningKey) -> String {
    format!("{PUBLIC_PREFIX}{}", BASE64.encode(key.verifying_key().as_bytes()))
}

/// Reads a `whpk_…` key.
pub fn parse_public_key(text: &str) -> Option<ed25519_dalek::VerifyingKey> {
    let bytes = BASE64.decode(text.strip_prefix(PUBLIC_PREFIX)?.as_bytes()).ok()?;
    ed25519_dalek::VerifyingKey::from_bytes(bytes.as_slice().try_into().ok()?).ok()
}
