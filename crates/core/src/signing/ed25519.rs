//! Ed25519 keys in the text forms of Standard Webhooks.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ed25519_dalek::ed25519::signature::MultipartSigner;
use ed25519_dalek::{Signature, VerifyingKey};
use zeroize::Zeroizing;

use crate::secret::SecretError;

const SIGNING_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";

/// An Ed25519 key pair; its text is `whsk_` and base64 of private ‖ public key. Zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// An Ed25519 public key; its text is `whpk_` and base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl SigningKey {
    /// A new one; `fill` gives random bytes.
    pub fn generate(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        fill(seed.as_mut_slice());
        Self::from_seed(&seed)
    }

    /// From the private half.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The private half.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// `whsk_…`, for the one answer that shows it.
    pub fn expose(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(self.0.to_keypair_bytes());
        let encoded = Zeroizing::new(BASE64.encode(pair.as_slice()));
        Zeroizing::new(format!("{SIGNING_PREFIX}{}", *encoded))
    }

    /// The signature over the pieces in a row, as base64.
    pub(super) fn sign(&self, pieces: &[&[u8]]) -> String {
        BASE64.encode(&self.0.multipart_sign(pieces).to_bytes())
    }
}

impl PublicKey {
    /// Whether the base64 text is this key's signature over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let decoded = BASE64.decode(signature.as_bytes()).ok();
        let signature = decoded.and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for SigningKey {
    type Err = SecretError;

    /// Reads `whsk_…` and checks that its two halves belong together.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let pair = decode::<64>(text, SIGNING_PREFIX);
        pair.and_then(|pair| ed25519_dalek::SigningKey::from_keypair_bytes(&pair).ok())
            .map(Self)
            .ok_or(SecretError::Ed25519 { kind: "signing key", prefix: SIGNING_PREFIX, bytes: 64 })
    }
}

impl FromStr for PublicKey {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let point = decode::<32>(text, PUBLIC_PREFIX);
        point.and_then(|point| VerifyingKey::from_bytes(&point).ok()).map(Self).ok_or(SecretError::Ed25519 {
            kind: "public key",
            prefix: PUBLIC_PREFIX,
            bytes: 32,
        })
    }
}

fn decode<const N: usize>(text: &str, prefix: &str) -> Option<Zeroizing<[u8; N]>> {
    let bytes = Zeroizing::new(BASE64.decode(text.strip_prefix(prefix)?.as_bytes()).ok()?);
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
