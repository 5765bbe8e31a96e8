//! A provider that no code knows: a fifth TOML file.

use std::time::Duration;

use super::*;
use crate::contract::ContractSet;
use crate::render::render;
use crate::secret::SecretPair;

const ACME: &str = r#"
title = "Acme"
description = "A made-up provider"

[body]
kind = "envelope"
format = "compact"
fields = [
  { name = "payload", value = "data" },
  { name = "kind", value = "event_type" },
  { name = "at", value = "event_time_rfc3339" },
]

[headers]
user_agent = "Acme/{version} (hooks)"
content_type = "application/vnd.acme+json"
fields = [
  { name = "X-Acme-Api", value = { literal = "2026-01" } },
  { name = "X-Acme-Id", value = "event_id" },
]

[signature]
header = "X-Acme-Auth"
content = "acme:{body}:{timestamp}:{id}"
key = "base64_after_prefix"
encoding = "base64"
lead = "at={timestamp};"
item = "sig=<{signature}>"
separator = "|"

[rotation]
old_signature = "same_header"
overlap = "2h"

[secret]
prefix = "acme-"
encoding = "base64"
bytes = 16
shown_once = false

[delivery]
timeout = "1s"
https_only = true
response_capture_bytes = 0

[retry]
delays = []

[limits]
payload_bytes_max = 1000

[catalogue]
closed = false
"#;

#[test]
fn a_fifth_provider_is_a_fifth_file() {
    let set = ContractSet::load([("acme.toml", ACME)]).expect("a right contract");
    let acme = set.get(&"acme".parse().expect("a name")).expect("loaded");
    assert_eq!(acme.retry().after(1, 0.0), None);

    let at = Timestamp::from_secs(1_768_480_200);
    let body = render(acme, "evt_1", "a.b", at, &"{ \"n\": 1.0 }".into()).expect("small JSON").body;
    assert_eq!(body, &br#"{"payload":{"n":1},"kind":"a.b","at":"2026-01-15T12:30:00Z"}"#[..]);

    let (old, new) = (Secret::new("acme-AAAAAAAAAAAAAAAAAAAAAA=="), Secret::new("acme-AQEBAQEBAQEBAQEBAQEBAQ=="));
    let secrets = SecretPair::new(old.clone()).rotate(new.clone(), at, Duration::from_hours(2)).secrets;
    let signer = Signer::new(acme, &secrets).expect("usable secrets");
    let message = Signed { event_id: "evt_1", event_type: "a.b", event_at: at, attempt_at: at, body: &body };
    let headers = signer.headers(&message);
    let sent: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    let agent = concat!("Acme/", env!("CARGO_PKG_VERSION"), " (hooks)");
    assert_eq!(
        sent,
        [
            ("Content-Type", "application/vnd.acme+json"),
            ("User-Agent", agent),
            ("X-Acme-Api", "2026-01"),
            ("X-Acme-Id", "evt_1"),
            // Computed with Python's hmac module.
            (
                "X-Acme-Auth",
                "at=1768480200;|sig=<nQuy/K62dvVPtZNKRqXQYETMG2R2WCyEVf+H55D+4hE=>|sig=<NK5XqfGfcKS+j+Vied+XyjXMmOO0HbDuQKhMT9XmhhA=>"
            ),
        ]
    );

    let lookup = |name: &str| sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| *value);
    for secret in [old, new] {
        let verified = verify(acme, Keys::Secrets(&[secret]), &lookup, &body, at, Duration::from_secs(1));
        assert_eq!(verified, Ok(()));
    }
    let stranger = [Secret::new("acme-AgICAgICAgICAgICAgICAg==")];
    assert!(verify(acme, Keys::Secrets(&stranger), &lookup, &body, at, Duration::from_secs(1)).is_err());
}
