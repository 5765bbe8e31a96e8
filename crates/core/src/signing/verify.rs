//! Verifying a request as a receiver does, for `whimbrel verify` and `whimbrel listen`.

use std::time::Duration;

use hmac::Mac;

use super::{PublicKey, keyed, mac, pieces};
use crate::contract::{Contract, HeaderSource, OldSignature, Piece};
use crate::secret::{Secret, SecretError};
use crate::time::Timestamp;

/// More signatures in one header than this are not looked at.
const ITEMS_MAX: usize = 16;

/// What a receiver verifies with.
#[derive(Debug, Clone, Copy)]
pub enum Keys<'a> {
    /// Any one of these secrets suffices.
    Secrets(&'a [Secret]),
    /// The endpoint's public key.
    Public(&'a PublicKey),
}

/// Why a request is not to be trusted. Names headers, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the contract needs.
    #[error("the header `{0}` is missing")]
    MissingHeader(String),
    /// A header of another form.
    #[error("the header `{header}` does not hold {expected}")]
    MalformedHeader {
        /// Which header.
        header: String,
        /// What the contract puts there.
        expected: &'static str,
    },
    /// Signed too long ago.
    #[error(
        "the timestamp in `{header}` is {by_secs} s old, {tolerance_secs} s are allowed; was the request replayed, or is a clock wrong?"
    )]
    TooOld {
        /// Where the timestamp stands.
        header: String,
        /// Its age.
        by_secs: i64,
        /// What was allowed.
        tolerance_secs: u64,
    },
    /// Signed in the future.
    #[error("the timestamp in `{header}` is {by_secs} s ahead, {tolerance_secs} s are allowed; is a clock wrong?")]
    TooNew {
        /// Where the timestamp stands.
        header: String,
        /// How far ahead.
        by_secs: i64,
        /// What was allowed.
        tolerance_secs: u64,
    },
    /// The signature is another secret's or another body's.
    #[error(
        "no signature in `{header}` matches: another secret, or the body or a signed header was changed on the way"
    )]
    Mismatch {
        /// The signature header.
        header: String,
    },
    /// The contract has no Ed25519 signatures.
    #[error("the contract `{0}` has no Ed25519 signatures: verify with the secret")]
    NoEd25519(String),
    /// What was given cannot be a secret of this contract.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Verifies a request's signature and, where the contract signs one, its timestamp.
///
/// `header` looks a header up by name, whatever the case.
pub fn verify<'a>(
    contract: &Contract,
    keys: Keys<'_>,
    header: &dyn Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let signature = contract.signature();
    let need = |name: &str| header(name).ok_or_else(|| VerifyError::MissingHeader(name.to_owned()));
    let value = need(signature.header())?;
    let id = match contract.headers().carrying(&HeaderSource::EventId) {
        Some(name) if signature.content().contains(&Piece::Id) => need(name)?,
        _ => "",
    };
    let timestamp = if signature.covers_timestamp() {
        let (name, text) = signed_timestamp(contract, value, &need)?;
        check_age(name, text, now, tolerance)?;
        text
    } else {
        ""
    };
    let old = match contract.rotation().old() {
        OldSignature::Header(name) => header(name),
        OldSignature::SameHeader => None,
    };
    let content = || pieces(contract, id, timestamp, body);
    let matches = match keys {
        Keys::Secrets(secrets) => matches_secret(contract, secrets, [Some(value), old], content)?,
        Keys::Public(key) => matches_public(contract, key, value, content)?,
    };
    if matches { Ok(()) } else { Err(VerifyError::Mismatch { header: signature.header().to_owned() }) }
}

fn signed_timestamp<'c, 'a: 'c>(
    contract: &'c Contract,
    value: &'a str,
    need: &dyn Fn(&str) -> Result<&'a str, VerifyError>,
) -> Result<(&'c str, &'a str), VerifyError> {
    let signature = contract.signature();
    let Some(lead) = signature.lead() else {
        let name = contract.headers().carrying(&HeaderSource::AttemptTimestampUnix);
        let name = name.expect("parsing holds that a signed timestamp is sent");
        return Ok((name, need(name)?));
    };
    let text = value.split(signature.separator()).find_map(|part| lead.read(part.trim()));
    let malformed = || VerifyError::MalformedHeader {
        header: signature.header().to_owned(),
        expected: "a timestamp before the signature",
    };
    Ok((signature.header(), text.ok_or_else(malformed)?))
}

fn check_age(header: &str, text: &str, now: Timestamp, tolerance: Duration) -> Result<(), VerifyError> {
    let header = || header.to_owned();
    let at: i64 = text
        .parse()
        .map_err(|_| VerifyError::MalformedHeader { header: header(), expected: "a timestamp in Unix seconds" })?;
    let age = now.as_secs().saturating_sub(at);
    let tolerance_secs = tolerance.as_secs();
    if age.unsigned_abs() <= tolerance_secs {
        Ok(())
    } else if age > 0 {
        Err(VerifyError::TooOld { header: header(), by_secs: age, tolerance_secs })
    } else {
        Err(VerifyError::TooNew { header: header(), by_secs: age.saturating_neg(), tolerance_secs })
    }
}

fn parts<'a>(contract: &Contract, value: &'a str) -> Vec<&'a str> {
    match contract.signature().separator() {
        "" => vec![value],
        separator => value.split(separator).map(str::trim).take(ITEMS_MAX).collect(),
    }
}

fn matches_secret<'p, I: Iterator<Item = &'p [u8]>>(
    contract: &Contract,
    secrets: &[Secret],
    values: [Option<&str>; 2],
    content: impl Fn() -> I,
) -> Result<bool, VerifyError> {
    let signature = contract.signature();
    let items = values.into_iter().flatten().flat_map(|value| parts(contract, value));
    let decode = |part| signature.item().read(part).and_then(|text| signature.encoding().decode(text));
    let given: Vec<Vec<u8>> = items.filter_map(decode).collect();
    for secret in secrets {
        let expected = mac(&keyed(contract, secret)?, content());
        if given.iter().any(|given| expected.clone().verify_slice(given).is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn matches_public<'p, I: Iterator<Item = &'p [u8]>>(
    contract: &Contract,
    key: &PublicKey,
    value: &str,
    content: impl Fn() -> I,
) -> Result<bool, VerifyError> {
    let item =
        contract.signature().ed25519_item().ok_or_else(|| VerifyError::NoEd25519(contract.name().to_string()))?;
    let message: Vec<u8> = content().flatten().copied().collect();
    Ok(parts(contract, value).into_iter().filter_map(|part| item.read(part)).any(|text| key.verifies(&message, text)))
}
