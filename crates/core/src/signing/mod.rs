//! Signing what goes out, and verifying it as a receiver does.

pub(crate) mod ed25519;
mod signer;
mod verify;

#[cfg(test)]
mod fifth_contract_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod vector_tests;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::contract::{Contract, Piece};
use crate::secret::{Secret, SecretError};
use crate::time::Timestamp;

pub use ed25519::{PublicKey, SigningKey};
pub use signer::Signer;
pub use verify::{Keys, VerifyError, verify};

type HmacSha256 = Hmac<Sha256>;

/// One attempt's request, as far as its headers depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The event's id as text.
    pub event_id: &'a str,
    /// The event's type.
    pub event_type: &'a str,
    /// When the event happened.
    pub event_at: Timestamp,
    /// When this attempt is made.
    pub attempt_at: Timestamp,
    /// The rendered body.
    pub body: &'a [u8],
}

/// An HMAC that has taken in its key: cloned per message.
fn keyed(contract: &Contract, secret: &Secret) -> Result<HmacSha256, SecretError> {
    let key = secret.key(contract)?;
    Ok(HmacSha256::new_from_slice(&key).expect("hmac takes keys of any length"))
}

/// The signed content, piece by piece, none of it copied.
fn pieces<'a>(
    contract: &'a Contract,
    id: &'a str,
    timestamp: &'a str,
    body: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    contract.signature().content().iter().map(move |piece| match piece {
        Piece::Literal(text) => text.as_bytes(),
        Piece::Id => id.as_bytes(),
        Piece::Timestamp => timestamp.as_bytes(),
        Piece::Body => body,
    })
}

fn mac<'a>(keyed: &HmacSha256, pieces: impl Iterator<Item = &'a [u8]>) -> HmacSha256 {
    let mut mac = keyed.clone();
    pieces.for_each(|piece| mac.update(piece));
    mac
}
