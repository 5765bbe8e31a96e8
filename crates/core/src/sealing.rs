//! Secrets at rest: XChaCha20-Poly1305 under a ring of named keys, bound to the endpoint they belong to.

use std::collections::HashMap;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use crate::endpoint::CustomHeaders;
use crate::id::EndpointId;
use crate::port::Clock;
use crate::secret::SecretPair;

/// Why a ring cannot be made or a secret cannot be opened. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// An entry of the configuration.
    #[error("entry {0} of secrets.keys is not of the form ID:KEY with 32 bytes as base64 or hex")]
    Key(usize),
    /// No entry at all.
    #[error("secrets.keys names no key")]
    Empty,
    /// Sealed under a key that the ring does not hold.
    #[error("the secret of {endpoint} is sealed under key `{key}`, which secrets.keys does not name")]
    UnknownKey {
        /// Whose secret.
        endpoint: EndpointId,
        /// The key's id.
        key: String,
    },
    /// The bytes were changed, or belong to another endpoint.
    #[error("the stored secret of {0} is damaged")]
    Damaged(EndpointId),
}

impl SealError {
    /// Whose secret cannot be opened; `None` when the ring itself is at fault.
    pub fn endpoint(&self) -> Option<EndpointId> {
        match self {
            Self::UnknownKey { endpoint, .. } | Self::Damaged(endpoint) => Some(*endpoint),
            Self::Key(_) | Self::Empty => None,
        }
    }
}

/// The keys that secrets are sealed under: the first seals, all open.
pub struct KeyRing {
    sealing: String,
    keys: HashMap<String, XChaCha20Poly1305>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing(sealing under `{}`, {} keys)", self.sealing, self.keys.len())
    }
}

const NONCE_BYTES: usize = 24;

impl KeyRing {
    /// Reads `ID:KEY` entries, separated by commas or white space; the first one seals.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let entries: Vec<&str> =
            text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()).collect();
        let keys = entries
            .iter()
            .enumerate()
            .map(|(place, entry)| parse_key(entry).ok_or(SealError::Key(place + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        let sealing = keys.first().ok_or(SealError::Empty)?.0.clone();
        Ok(Self { sealing, keys: keys.into_iter().collect() })
    }

    /// One new entry in the form that [`Self::parse`] reads.
    pub fn generate_entry(clock: &dyn Clock) -> String {
        let mut key = [0; 32];
        clock.fill(&mut key);
        format!("k{}:{}", clock.now().as_secs(), BASE64.encode(&key))
    }

    /// The id of the key that seals.
    pub fn sealing_key(&self) -> &str {
        &self.sealing
    }

    /// The id of the key that something was sealed under; `None` when it is damaged.
    pub fn key_of(sealed: &[u8]) -> Option<&str> {
        let (&length, rest) = sealed.split_first()?;
        std::str::from_utf8(rest.get(..usize::from(length))?).ok()
    }

    /// Seals an endpoint's secrets: `id length, id, nonce, ciphertext`.
    pub fn seal(&self, secrets: &SecretPair, endpoint: EndpointId, clock: &dyn Clock) -> Vec<u8> {
        self.seal_bytes(&zeroize::Zeroizing::new(secrets.to_bytes()), endpoint.uuid().as_bytes(), clock)
    }

    /// The reverse of [`Self::seal`].
    pub fn open(&self, sealed: &[u8], endpoint: EndpointId) -> Result<SecretPair, SealError> {
        let plain = self.open_bytes(sealed, endpoint, endpoint.uuid().as_bytes())?;
        SecretPair::from_bytes(&plain).ok_or(SealError::Damaged(endpoint))
    }

    /// Seals an endpoint's headers, in the same form. The two cannot take each other's place.
    pub fn seal_headers(&self, headers: &CustomHeaders, endpoint: EndpointId, clock: &dyn Clock) -> Vec<u8> {
        self.seal_bytes(&zeroize::Zeroizing::new(headers.to_bytes()), &headers_aad(endpoint), clock)
    }

    /// The reverse of [`Self::seal_headers`].
    pub fn open_headers(&self, sealed: &[u8], endpoint: EndpointId) -> Result<CustomHeaders, SealError> {
        let plain = self.open_bytes(sealed, endpoint, &headers_aad(endpoint))?;
        CustomHeaders::from_bytes(&plain).ok_or(SealError::Damaged(endpoint))
    }

    fn seal_bytes(&self, plain: &[u8], aad: &[u8], clock: &dyn Clock) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        clock.fill(&mut nonce);
        let cipher = self.keys.get(&self.sealing).expect("the sealing key is one of the ring's");
        let payload = Payload { msg: plain, aad };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("a secret is far below the cipher's limit");
        let mut out = Vec::with_capacity(1 + self.sealing.len() + NONCE_BYTES + sealed.len());
        out.push(u8::try_from(self.sealing.len()).expect("parse_key bounds the id"));
        out.extend_from_slice(self.sealing.as_bytes());
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    fn open_bytes(
        &self,
        sealed: &[u8],
        endpoint: EndpointId,
        aad: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, SealError> {
        let damaged = || SealError::Damaged(endpoint);
        let (&length, rest) = sealed.split_first().ok_or_else(damaged)?;
        let (id, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let id = std::str::from_utf8(id).map_err(|_| damaged())?;
        let cipher = self.keys.get(id).ok_or_else(|| SealError::UnknownKey { endpoint, key: id.to_owned() })?;
        let payload = Payload { msg: ciphertext, aad };
        Ok(zeroize::Zeroizing::new(cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?))
    }
}

fn headers_aad(endpoint: EndpointId) -> Vec<u8> {
    [endpoint.uuid().as_bytes().as_slice(), b"headers"].concat()
}

fn parse_key(entry: &str) -> Option<(String, XChaCha20Poly1305)> {
    let (id, text) = entry.split_once(':')?;
    let named =
        !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let decoded = match text.len() {
        64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()),
        _ => BASE64.decode(text.as_bytes()),
    };
    let key: [u8; 32] = zeroize::Zeroizing::new(decoded.ok()?).as_slice().try_into().ok()?;
    named.then(|| (id.to_owned(), XChaCha20Poly1305::new(&key.into())))
}
