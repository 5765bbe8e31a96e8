//! What a receiver does: whether a request's headers hold. For `whimbrel verify` and `whimbrel listen`.

use std::time::Duration;

use data_encoding::BASE64;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use hmac::Mac;
use subtle::ConstantTimeEq;

use super::headers::{Signed, content, encode, keyed};
use crate::contract::{Contract, HeaderValue, Part, Template};
use crate::secret::Secret;
use crate::time::Timestamp;

/// Why a request is not accepted. Never holds a secret or an expected signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is not there.
    #[error("the header {0} is missing")]
    Missing(String),
    /// A header cannot be read.
    #[error("the header {0} does not have the contract's form")]
    Malformed(String),
    /// The request is too old, or from the future.
    #[error("the timestamp {at} is {away:?} away from now, more than the {tolerance:?} allowed")]
    Stale {
        /// As signed, seconds since the epoch.
        at: i64,
        /// From now.
        away: Duration,
        /// What is allowed.
        tolerance: Duration,
    },
    /// No signature fits.
    #[error("no signature in {0} fits body and secret: the body was changed, or the secret is another one")]
    Mismatch(String),
}

/// What a receiver holds: a secret, a public key, or both.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// For HMAC signatures.
    pub secrets: Vec<Secret>,
    /// For Ed25519 signatures.
    pub public_key: Option<VerifyingKey>,
}

/// Checks a request under a contract. `header` looks names up in any case; `now` and `tolerance` apply
/// where the contract signs a timestamp. One fitting signature is enough.
pub fn verify<'h>(
    contract: &Contract,
    keys: &Keys,
    header: &dyn Fn(&str) -> Option<&'h str>,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let rule = contract.signature();
    let value = header(&rule.header).ok_or_else(|| VerifyError::Missing(rule.header.clone()))?;
    let event_id = find(contract, &HeaderValue::EventId, header);
    let at = match timestamp(contract, header, value)? {
        Some(at) => {
            let away = Timestamp::from_secs(at).since(now).max(now.since(Timestamp::from_secs(at)));
            if away > tolerance {
                return Err(VerifyError::Stale { at, away, tolerance });
            }
            Timestamp::from_secs(at)
        }
        None => now,
    };
    if rule.content.has(&Part::Id) && event_id.is_none() {
        return Err(VerifyError::Missing(name_of(contract, &HeaderValue::EventId)));
    }
    let message = Signed { event_id: event_id.unwrap_or_default(), event_type: "", event_at: at, attempt_at: at, body };
    let found = signatures(contract, value, &message);
    let hmac = keys.secrets.iter().any(|secret| {
        let mut mac = keyed(rule, contract, secret);
        content(&rule.content, &message, &mut |bytes| mac.update(bytes));
        let expected = encode(rule.encoding, &mac.finalize().into_bytes());
        found.hmac.iter().fold(false, |fits, given| fits | bool::from(given.as_bytes().ct_eq(expected.as_bytes())))
    });
    let ed25519 = keys.public_key.as_ref().is_some_and(|key| {
        let mut signed = Vec::new();
        content(&rule.content, &message, &mut |bytes| signed.extend_from_slice(bytes));
        found.ed25519.iter().any(|given| fits(key, &signed, given))
    });
    if hmac || ed25519 { Ok(()) } else { Err(VerifyError::Mismatch(rule.header.clone())) }
}

fn fits(key: &VerifyingKey, signed: &[u8], given: &str) -> bool {
    let signature = BASE64.decode(given.as_bytes()).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    signature.is_some_and(|signature| key.verify(signed, &signature).is_ok())
}

fn find<'h>(contract: &Contract, source: &HeaderValue, header: &dyn Fn(&str) -> Option<&'h str>) -> Option<&'h str> {
    contract.headers().iter().find(|(_, value)| value == source).and_then(|(name, _)| header(name))
}

fn name_of(contract: &Contract, source: &HeaderValue) -> String {
    contract.headers().iter().find(|(_, value)| value == source).map_or_else(String::new, |(name, _)| name.clone())
}

/// The signed timestamp: from the signature header's own prefix, or from the header the contract sends
/// it in; `None` when the contract signs none.
fn timestamp<'h>(contract: &Contract, header: &dyn Fn(&str) -> Option<&'h str>, value: &str) -> Result<Option<i64>, VerifyError> {
    let rule = contract.signature();
    if !rule.content.has(&Part::Timestamp) {
        return Ok(None);
    }
    let text = match placeholder(&rule.form.prefix, value) {
        Some(text) => text,
        None => find(contract, &HeaderValue::AttemptTimestamp, header)
            .ok_or_else(|| VerifyError::Missing(name_of(contract, &HeaderValue::AttemptTimestamp)))?,
    };
    text.parse().map(Some).map_err(|_| VerifyError::Malformed(rule.header.clone()))
}

/// What stands for `{timestamp}` in a value that begins like the template.
fn placeholder<'v>(template: &Template, value: &'v str) -> Option<&'v str> {
    let place = template.parts().iter().position(|part| *part == Part::Timestamp)?;
    let words = |part: Option<&Part>| match part {
        Some(Part::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let before = if place == 0 { String::new() } else { words(template.parts().first()) };
    let rest = value.strip_prefix(&before)?;
    let after = words(template.parts().get(place + 1));
    let end = if after.is_empty() { rest.len() } else { rest.find(&after)? };
    Some(&rest[..end])
}

struct Found<'v> {
    hmac: Vec<&'v str>,
    ed25519: Vec<&'v str>,
}

/// The signatures in the header, by the templates' words around them.
fn signatures<'v>(contract: &Contract, value: &'v str, message: &Signed<'_>) -> Found<'v> {
    let rule = contract.signature();
    let stamp = message.attempt_at.as_secs().to_string();
    let prefix: String = rule
        .form
        .prefix
        .parts()
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Timestamp => stamp.as_str(),
            _ => "",
        })
        .collect();
    let rest = value.strip_prefix(&prefix).unwrap_or(value);
    let pieces: Vec<&str> = if rule.form.separator.is_empty() { vec![rest] } else { rest.split(rule.form.separator.as_str()).collect() };
    let within = |template: &Template| pieces.iter().filter_map(|piece| strip(template, piece)).collect();
    Found { hmac: within(&rule.form.each), ed25519: rule.ed25519.as_ref().map(within).unwrap_or_default() }
}

/// A piece without the template's words around its signature.
fn strip<'v>(template: &Template, piece: &'v str) -> Option<&'v str> {
    let place = template.parts().iter().position(|part| *part == Part::Signature)?;
    let words = |parts: &[Part]| -> String {
        parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None }).collect()
    };
    piece.strip_prefix(&words(&template.parts()[..place]))?.strip_suffix(&words(&template.parts()[place + 1..]))
}
