//! The headers of one attempt.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use hmac::Mac;

use super::{HmacSha256, Signed, SigningKey, keyed, mac, pieces};
use crate::contract::{Contract, HeaderSource, OldSignature};
use crate::secret::{SecretError, SecretPair};
use crate::time::Timestamp;

/// Makes the headers of an endpoint's attempts. Built once per endpoint and contract: it holds the HMACs
/// with their keys taken in, and a message only clones that state.
pub struct Signer {
    contract: Arc<Contract>,
    current: HmacSha256,
    // Boxed: most endpoints have neither, and a sender holds a signer for each endpoint it uses.
    previous: Option<Box<(HmacSha256, Timestamp)>>,
    signing_key: Option<Box<SigningKey>>,
}

impl Signer {
    /// Fails only if a stored secret has not the form from which the contract derives its key, as after
    /// a deployment changed its own contract.
    pub fn new(contract: &Arc<Contract>, secrets: &SecretPair) -> Result<Self, SecretError> {
        let previous = secrets.previous.as_ref();
        Ok(Self {
            current: keyed(contract, &secrets.current)?,
            previous: previous
                .map(|(secret, expires_at)| Ok(Box::new((keyed(contract, secret)?, *expires_at))))
                .transpose()?,
            signing_key: secrets.signing_key.clone().map(Box::new),
            contract: contract.clone(),
        })
    }

    /// Every header of the request that is the contract's: names and values.
    pub fn headers<'a>(&'a self, message: &Signed<'a>) -> Vec<(&'a str, Cow<'a, str>)> {
        let constant = self.contract.headers().constant().map(|(name, value)| (name, value.into()));
        constant.chain(self.of_message(message)).collect()
    }

    /// Those that are this message's own, its signature last.
    pub fn of_message<'a>(&'a self, message: &Signed<'a>) -> Vec<(&'a str, Cow<'a, str>)> {
        let headers = self.contract.headers();
        let signature = self.contract.signature();
        let timestamp = message.attempt_at.as_secs().to_string();
        let mut out = Vec::with_capacity(headers.fields().len() + 2);
        for field in headers.fields() {
            let value: Cow<'_, str> = match &field.value {
                HeaderSource::EventId => message.event_id.into(),
                HeaderSource::EventType => message.event_type.into(),
                HeaderSource::EventTimestampUnix => message.event_at.as_secs().to_string().into(),
                HeaderSource::AttemptTimestampUnix => timestamp.clone().into(),
                HeaderSource::Literal(_) => continue,
            };
            out.push((field.name.as_str(), value));
        }
        let new = self.encoded(&self.current, message, &timestamp);
        let old = self.previous_at(message.attempt_at).map(|keyed| self.encoded(keyed, message, &timestamp));
        match self.contract.rotation().old() {
            OldSignature::SameHeader => {
                out.push((signature.header(), self.value(&new, old.as_deref(), message, &timestamp).into()));
            }
            OldSignature::Header(name) => {
                out.push((signature.header(), self.value(&new, None, message, &timestamp).into()));
                out.extend(old.map(|old| (name.as_str(), self.old_value(&old, &timestamp).into())));
            }
        }
        out
    }

    fn previous_at(&self, now: Timestamp) -> Option<&HmacSha256> {
        self.previous.as_deref().filter(|(_, expires_at)| now < *expires_at).map(|(keyed, _)| keyed)
    }

    fn encoded(&self, keyed: &HmacSha256, message: &Signed<'_>, timestamp: &str) -> String {
        let mac = mac(keyed, pieces(&self.contract, message.event_id, timestamp, message.body));
        self.contract.signature().encoding().encode(&mac.finalize().into_bytes())
    }

    /// The signature header: lead, new, old, Ed25519.
    fn value(&self, new: &str, old: Option<&str>, message: &Signed<'_>, timestamp: &str) -> String {
        let signature = self.contract.signature();
        let mut value = self.old_value(new, timestamp);
        if let Some(old) = old {
            value.push_str(signature.separator());
            signature.item().write(old, &mut value);
        }
        if let (Some(key), Some(item)) = (&self.signing_key, signature.ed25519_item()) {
            let pieces: Vec<&[u8]> = pieces(&self.contract, message.event_id, timestamp, message.body).collect();
            value.push_str(signature.separator());
            item.write(&key.sign(&pieces), &mut value);
        }
        value
    }

    /// Lead and one item.
    fn old_value(&self, encoded: &str, timestamp: &str) -> String {
        let signature = self.contract.signature();
        let mut value = String::with_capacity(128);
        if let Some(lead) = signature.lead() {
            lead.write(timestamp, &mut value);
            value.push_str(signature.separator());
        }
        signature.item().write(encoded, &mut value);
        value
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.contract.name())
    }
}
