//! The headers of an attempt. A [`Signer`] is made once per endpoint and holds the keyed HMACs.

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::contract::{Contract, Encoding, HeaderValue, KeyForm, Part, Rotation, SignatureRule, Template};
use crate::secret::{Secret, SecretPair, parse_ed25519};
use crate::time::Timestamp;

/// What is signed: one attempt.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `evt_…`.
    pub event_id: &'a str,
    /// `order.created`.
    pub event_type: &'a str,
    /// When the event happened.
    pub event_at: Timestamp,
    /// When this attempt is made.
    pub attempt_at: Timestamp,
    /// The bytes that go out.
    pub body: &'a [u8],
}

/// Signs for one endpoint.
pub struct Signer {
    headers: Vec<(String, HeaderValue)>,
    rule: SignatureRule,
    current: Hmac<Sha256>,
    previous: Option<(Hmac<Sha256>, Timestamp)>,
    ed25519: Option<SigningKey>,
}

impl Signer {
    /// Keys the HMACs.
    pub fn new(contract: &Contract, secrets: &SecretPair) -> Self {
        let rule = contract.signature().clone();
        let keyed = |secret: &Secret| keyed(&rule, contract, secret);
        Self {
            headers: contract.headers().to_vec(),
            current: keyed(&secrets.current),
            previous: secrets.previous.as_ref().map(|(secret, until)| (keyed(secret), *until)),
            ed25519: rule.ed25519.as_ref().and(secrets.ed25519.as_ref()).and_then(parse_ed25519),
            rule,
        }
    }

    /// Every header of the attempt, in the contract's order, the signature last.
    pub fn headers(&self, message: &Signed<'_>) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> =
            self.headers.iter().map(|(name, value)| (name.clone(), header_value(value, message))).collect();
        let current = self.hmac(&self.current, message);
        let previous = self.previous.as_ref().filter(|(_, until)| message.attempt_at < *until);
        let previous = previous.map(|(mac, _)| self.hmac(mac, message));
        let mut signatures = vec![fill(&self.rule.form.each, message, &current)];
        if let Some(previous) = previous {
            match &self.rule.rotation {
                Rotation::SameHeader => signatures.push(fill(&self.rule.form.each, message, &previous)),
                Rotation::OwnHeader(name) => {
                    let value = self.assemble(message, &[fill(&self.rule.form.each, message, &previous)]);
                    headers.push((name.clone(), value));
                }
            }
        }
        if let (Some(key), Some(template)) = (&self.ed25519, &self.rule.ed25519) {
            signatures.push(fill(template, message, &ed25519(key, &self.rule, message)));
        }
        headers.push((self.rule.header.clone(), self.assemble(message, &signatures)));
        headers
    }

    fn hmac(&self, keyed: &Hmac<Sha256>, message: &Signed<'_>) -> String {
        let mut mac = keyed.clone();
        content(&self.rule.content, message, &mut |bytes| mac.update(bytes));
        encode(self.rule.encoding, &mac.finalize().into_bytes())
    }

    fn assemble(&self, message: &Signed<'_>, signatures: &[String]) -> String {
        let mut value = fill(&self.rule.form.prefix, message, "");
        value.push_str(&signatures.join(&self.rule.form.separator));
        value
    }
}

pub(super) fn keyed(rule: &SignatureRule, contract: &Contract, secret: &Secret) -> Hmac<Sha256> {
    let text = secret.expose();
    let decoded = match rule.key {
        KeyForm::Utf8 => None,
        // A secret that is no base64 was refused when it was set; one from an older rule signs as text.
        KeyForm::Base64AfterPrefix => {
            BASE64.decode(text.strip_prefix(contract.secret().prefix.as_str()).unwrap_or(text).as_bytes()).ok()
        }
    };
    let decoded = decoded.map(zeroize::Zeroizing::new);
    let key = decoded.as_ref().map_or(text.as_bytes(), |bytes| bytes.as_slice());
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Gives the signed content piece by piece: the body is not copied.
pub(super) fn content(template: &Template, message: &Signed<'_>, take: &mut dyn FnMut(&[u8])) {
    for part in template.parts() {
        match part {
            Part::Text(text) => take(text.as_bytes()),
            Part::Id => take(message.event_id.as_bytes()),
            Part::Timestamp => take(message.attempt_at.as_secs().to_string().as_bytes()),
            Part::Body => take(message.body),
            Part::Signature => {}
        }
    }
}

pub(super) fn encode(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => HEXLOWER.encode(bytes),
        Encoding::Base64 => BASE64.encode(bytes),
    }
}

fn ed25519(key: &SigningKey, rule: &SignatureRule, message: &Signed<'_>) -> String {
    let mut signed = Vec::with_capacity(message.body.len() + 64);
    content(&rule.content, message, &mut |bytes| signed.extend_from_slice(bytes));
    BASE64.encode(&key.sign(&signed).to_bytes())
}

fn fill(template: &Template, message: &Signed<'_>, signature: &str) -> String {
    let mut out = String::with_capacity(signature.len() + 16);
    for part in template.parts() {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Id => out.push_str(message.event_id),
            Part::Timestamp => out.push_str(&message.attempt_at.as_secs().to_string()),
            Part::Signature => out.push_str(signature),
            Part::Body => {}
        }
    }
    out
}

fn header_value(value: &HeaderValue, message: &Signed<'_>) -> String {
    match value {
        HeaderValue::EventId => message.event_id.to_owned(),
        HeaderValue::EventType => message.event_type.to_owned(),
        HeaderValue::EventTimestamp => message.event_at.as_secs().to_string(),
        HeaderValue::AttemptTimestamp => message.attempt_at.as_secs().to_string(),
        HeaderValue::Literal(text) => text.clone(),
    }
}
