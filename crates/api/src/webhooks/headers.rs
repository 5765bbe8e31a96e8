//! The headers that a webhook's owner may add to its requests.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::CustomHeaders;

use crate::extract::escape;
use crate::problem::FieldError;

/// Headers of one webhook at most.
pub(super) const HEADERS_MAX: usize = 32;
/// Bytes of all their names and values at most.
const BYTES_MAX: usize = 4 * 1024;
/// Bytes of one name at most.
const NAME_BYTES_MAX: usize = 128;

/// What belongs to the connection, to the message's framing, to its body or to tracing.
const RESERVED: [&str; 18] = [
    "connection",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// A JSON object of texts, in its order and with what it holds twice.
#[derive(Default)]
pub(super) struct HeaderFields(Vec<(String, String)>);

impl HeaderFields {
    /// The headers, if all of them may be sent under this contract. Errors name headers, never values.
    pub(super) fn check(self, contract: &Contract) -> Result<CustomHeaders, Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.0.len() > HEADERS_MAX {
            let message = format!("has {} entries; at most {HEADERS_MAX} are possible", self.0.len());
            errors.push(FieldError::new("/headers", message));
        }
        let bytes: usize = self.0.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > BYTES_MAX {
            let message = format!("names and values have {bytes} bytes in all; at most {BYTES_MAX} are possible");
            errors.push(FieldError::new("/headers", message));
        }
        let mut seen = HashSet::new();
        for (name, value) in &self.0 {
            let fault = match check_one(name, value, contract) {
                Ok(()) if seen.insert(name.to_ascii_lowercase()) => continue,
                Ok(()) => "stands there twice: upper and lower case are the same".to_owned(),
                Err(fault) => fault,
            };
            errors.push(FieldError::new(format!("/headers/{}", escape(name)), fault));
        }
        if errors.is_empty() { Ok(CustomHeaders(self.0)) } else { Err(errors) }
    }
}

fn check_one(name: &str, value: &str, contract: &Contract) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(token) {
        return Err(format!(
            "is not a header's name: 1 to {NAME_BYTES_MAX} letters, digits and any of !#$%&'*+-.^_`|~"
        ));
    }
    if let Some(whose) = reserved(&name.to_ascii_lowercase(), contract) {
        return Err(format!("`{name}` is reserved: {whose}"));
    }
    let visible = |byte: u8| matches!(byte, b'\t' | b' '..=b'~');
    if !value.bytes().all(visible) {
        return Err("its value may hold visible ASCII characters, spaces and tabs only".to_owned());
    }
    if value.trim_ascii() != value {
        return Err("its value begins or ends with white space, which would not arrive".to_owned());
    }
    Ok(())
}

/// Whose header this is, if it is not the owner's to set; the name is in lower case.
fn reserved(name: &str, contract: &Contract) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some("HTTP or Whimbrel itself sets it".to_owned());
    }
    if name.starts_with("content-") {
        return Some("the body's headers follow from the contract".to_owned());
    }
    let own = name.starts_with("webhook-")
        || contract.header_names().any(|header| clashes(name, &header.to_ascii_lowercase()));
    own.then(|| format!("it belongs to the contract `{}`", contract.name()))
}

/// Whether it is this header of the contract, the one that an old signature may take, or a relative of it:
/// `X-Acme-Signature` reserves all of `X-Acme-*`, so that a later version of the contract finds its names free.
fn clashes(name: &str, header: &str) -> bool {
    let family = header.strip_prefix("x-").and_then(|rest| rest.split_once('-')).map(|(vendor, _)| vendor);
    let relative = family.is_some_and(|vendor| {
        name.strip_prefix("x-").and_then(|rest| rest.strip_prefix(vendor)).is_some_and(|rest| rest.starts_with('-'))
    });
    relative || name == header || name.strip_suffix("-previous") == Some(header)
}

impl<'de> Deserialize<'de> for HeaderFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = HeaderFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of header names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderFields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(HeaderFields(fields))
    }
}

impl fmt::Debug for HeaderFields {
    /// Names only: a value may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::contract::ContractSet;

    use super::*;

    fn faults(contract: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let set = ContractSet::built_in();
        let contract = set.get(&contract.parse().expect("a name")).expect("a built-in contract");
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let errors = HeaderFields(fields).check(contract).err().unwrap_or_default();
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn an_owners_own_headers_are_taken() {
        let own = [("Authorization", "Bearer abc"), ("X-Own", "a\tb c"), ("X-Empty", ""), ("x-webhooks", "1")];
        for contract in ["bitbybit", "eightbit", "generic", "standard"] {
            assert_eq!(faults(contract, &own), [""; 0], "{contract}");
        }
    }

    #[test]
    fn what_http_sets_is_refused_in_any_case() {
        for name in RESERVED.into_iter().chain(["Host", "CONTENT-LENGTH", "Content-Type", "content-digest"]) {
            assert_eq!(faults("generic", &[(name, "x")]), [format!("/headers/{name}")], "{name}");
        }
    }

    #[test]
    fn what_the_contract_sends_is_refused() {
        for (contract, names) in [
            ("bitbybit", ["X-BitByBit-Webhook-Id", "x-bitbybit-webhook-signature", "X-BitByBit-Other"].as_slice()),
            ("eightbit", &["X-8bit-Signature-256", "x-8bit-signature-256-previous", "X-8bit-Event-Id"]),
            ("generic", &["X-Webhook-Signature", "x-webhook-signature-previous", "webhook-id"]),
            ("standard", &["webhook-signature", "Webhook-Timestamp", "webhook-anything"]),
        ] {
            for name in names {
                assert_eq!(faults(contract, &[(name, "x")]), [format!("/headers/{name}")], "{contract}");
            }
        }
        assert_eq!(faults("standard", &[("X-Webhook-Signature", "x"), ("X-8bit-Event-Id", "x")]), [""; 0]);
    }

    #[test]
    fn what_cannot_be_sent_as_it_stands_is_refused() {
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a:", "x"), ("ä", "x"), ("a", "x\n"), ("a", "…"), ("a", " x"), ("a", "x\t")]
        {
            assert_eq!(faults("generic", &[(name, value)]), [format!("/headers/{name}")], "{name:?} {value:?}");
        }
        assert_eq!(faults("generic", &[("a/b~c", "x")]), ["/headers/a~1b~0c"]);
        assert_eq!(faults("generic", &[("X-One", "1"), ("x-one", "2")]), ["/headers/x-one"]);
    }

    #[test]
    fn number_and_size_are_bounded() {
        let names: Vec<String> = (0..=HEADERS_MAX).map(|n| format!("x-own{n}")).collect();
        let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        assert_eq!(faults("generic", &fields[..HEADERS_MAX]), [""; 0]);
        assert_eq!(faults("generic", &fields), ["/headers"]);
        let fitting = "v".repeat(BYTES_MAX - 1);
        assert_eq!(faults("generic", &[("a", &fitting)]), [""; 0]);
        assert_eq!(faults("generic", &[("ab", &fitting)]), ["/headers"]);
    }
}
