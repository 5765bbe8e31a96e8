//! The headers of an attempt under each contract, and what a receiver makes of them.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::contract::ContractSet;
use crate::secret::SecretPair;

const EVENT_AT: i64 = 1_700_000_000;
const ATTEMPT_AT: i64 = 1_700_007_200;
const TOLERANCE: Duration = Duration::from_mins(5);
const BODY: &[u8] = br#"{"id":"cust_abc123"}"#;

/// A request as it was sent: its headers, owned.
struct Sent(Vec<(String, String)>);

impl Sent {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(sent, _)| sent != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn verify(&self, contract: &Contract, keys: Keys<'_>, body: &[u8]) -> Result<(), VerifyError> {
        self.verify_at(contract, keys, body, ATTEMPT_AT)
    }

    fn verify_at(&self, contract: &Contract, keys: Keys<'_>, body: &[u8], now: i64) -> Result<(), VerifyError> {
        verify(contract, keys, &|name| self.get(name), body, Timestamp::from_secs(now), TOLERANCE)
    }
}

fn contract(name: &str) -> Arc<Contract> {
    ContractSet::built_in().get(&name.parse().expect("a name")).expect("built in").clone()
}

/// The secret numbered `seed`, in the contract's own form.
fn secret(contract: &Contract, seed: u8) -> Secret {
    Secret::generate(contract, &mut |bytes| bytes.fill(seed))
}

fn send(contract: &Arc<Contract>, secrets: &SecretPair) -> Sent {
    let message = Signed {
        event_id: "evt_01jb3h2k9fe8yaw3cvj6s5n7qt",
        event_type: "customer.deleted",
        event_at: Timestamp::from_secs(EVENT_AT),
        attempt_at: Timestamp::from_secs(ATTEMPT_AT),
        body: BODY,
    };
    let signer = Signer::new(contract, secrets).expect("a usable secret");
    Sent(signer.headers(&message).into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect())
}

fn rotated(contract: &Contract) -> SecretPair {
    let at = Timestamp::from_secs(ATTEMPT_AT - 60);
    SecretPair::new(secret(contract, 1)).rotate(secret(contract, 2), at, Duration::from_hours(24)).secrets
}

#[track_caller]
fn assert_names(sent: &Sent, names: &[&str]) {
    assert_eq!(sent.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
}

#[test]
fn bitbybit_keeps_the_events_time_and_signs_at_the_attempts() {
    let contract = contract("bitbybit");
    let sent = send(&contract, &SecretPair::new(Secret::new("s3cret")));
    assert_names(
        &sent,
        &[
            "Content-Type",
            "User-Agent",
            "X-BitByBit-Webhook-Id",
            "X-BitByBit-Webhook-Event",
            "X-BitByBit-Webhook-Timestamp",
            "X-BitByBit-Webhook-Signature",
        ],
    );
    assert_eq!(sent.get("Content-Type"), Some("application/json"));
    assert_eq!(sent.get("User-Agent"), Some("BitByBit-Webhooks/1.0"));
    assert_eq!(sent.get("X-BitByBit-Webhook-Id"), Some("evt_01jb3h2k9fe8yaw3cvj6s5n7qt"));
    assert_eq!(sent.get("X-BitByBit-Webhook-Event"), Some("customer.deleted"));
    assert_eq!(sent.get("X-BitByBit-Webhook-Timestamp"), Some("1700000000"));
    let signature = "t=1700007200,v1=63b65578a0f12dc2c1d55a47a64f4461bc4e129c6c276a43ca70cbaa73df2181";
    assert_eq!(sent.get("X-BitByBit-Webhook-Signature"), Some(signature));
}

#[test]
fn eightbit_carries_the_attempts_time_unsigned() {
    let sent = send(&contract("eightbit"), &SecretPair::new(Secret::new("s3cret")));
    assert_names(&sent, &["Content-Type", "User-Agent", "X-8bit-Event-Id", "X-8bit-Timestamp", "X-8bit-Signature-256"]);
    assert_eq!(sent.get("X-8bit-Timestamp"), Some("1700007200"));
    assert_eq!(
        sent.get("X-8bit-Signature-256"),
        Some("sha256=233d6e99cc3e50dc579b68f4195626b82b742f5d278225ee9b0c0ab08f4c0127")
    );
}

#[test]
fn generic_sends_the_bare_signature() {
    let sent = send(&contract("generic"), &SecretPair::new(Secret::new("s3cret")));
    assert_names(&sent, &["Content-Type", "User-Agent", "X-Webhook-Signature"]);
    assert_eq!(sent.get("User-Agent"), Some(concat!("Whimbrel/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(
        sent.get("X-Webhook-Signature"),
        Some("233d6e99cc3e50dc579b68f4195626b82b742f5d278225ee9b0c0ab08f4c0127")
    );
}

#[test]
fn standard_has_its_three_headers() {
    let contract = contract("standard");
    let sent = send(&contract, &SecretPair::new(secret(&contract, 1)));
    assert_names(&sent, &["Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(sent.get("webhook-timestamp"), Some("1700007200"));
}

#[test]
fn what_is_sent_verifies_and_what_was_changed_does_not() {
    for contract in &ContractSet::built_in() {
        let right = [secret(contract, 1)];
        let sent = send(contract, &SecretPair::new(secret(contract, 1)));
        let mismatch = Err(VerifyError::Mismatch { header: contract.signature().header().to_owned() });
        assert_eq!(sent.verify(contract, Keys::Secrets(&right), BODY), Ok(()), "{}", contract.name());
        assert_eq!(sent.verify(contract, Keys::Secrets(&right), br#"{"id":"cust_abc124"}"#), mismatch);
        assert_eq!(sent.verify(contract, Keys::Secrets(&[secret(contract, 9)]), BODY), mismatch);
        assert_eq!(sent.verify(contract, Keys::Secrets(&[]), BODY), mismatch);
    }
}

#[test]
fn during_a_rotation_both_secrets_verify_and_afterwards_only_the_new_one() {
    for contract in &ContractSet::built_in() {
        let (old, new) = ([secret(contract, 1)], [secret(contract, 2)]);
        let during = send(contract, &rotated(contract));
        assert_eq!(during.verify(contract, Keys::Secrets(&old), BODY), Ok(()), "{}", contract.name());
        assert_eq!(during.verify(contract, Keys::Secrets(&new), BODY), Ok(()));

        let ended =
            SecretPair { previous: Some((secret(contract, 1), Timestamp::from_secs(ATTEMPT_AT))), ..rotated(contract) };
        let after = send(contract, &ended);
        assert!(after.verify(contract, Keys::Secrets(&old), BODY).is_err(), "{}", contract.name());
        assert_eq!(after.verify(contract, Keys::Secrets(&new), BODY), Ok(()));
    }
}

#[test]
fn where_the_old_signature_stands() {
    let sent = |name: &str| send(&contract(name), &rotated(&contract(name)));
    let alone = |name: &str, seed: u8| {
        let contract = contract(name);
        let sent = send(&contract, &SecretPair::new(secret(&contract, seed)));
        sent.get(contract.signature().header()).expect("signed").to_owned()
    };
    let old_item = |name: &str, prefix: &str| alone(name, 1).strip_prefix(prefix).expect("the form").to_owned();

    let expected = format!("{},{}", alone("bitbybit", 2), old_item("bitbybit", "t=1700007200,"));
    assert_eq!(sent("bitbybit").get("X-BitByBit-Webhook-Signature"), Some(expected.as_str()));
    let expected = format!("{} {}", alone("standard", 2), alone("standard", 1));
    assert_eq!(sent("standard").get("webhook-signature"), Some(expected.as_str()));
    for (name, previous) in [("eightbit", "X-8bit-Signature-256-Previous"), ("generic", "X-Webhook-Signature-Previous")]
    {
        let contract = contract(name);
        assert_eq!(sent(name).get(contract.signature().header()), Some(alone(name, 2).as_str()));
        assert_eq!(sent(name).get(previous), Some(alone(name, 1).as_str()));
    }
}

#[test]
fn ed25519_stands_last_and_verifies_with_the_public_key() {
    let contract = contract("standard");
    let key = SigningKey::from_seed(&[5; 32]);
    let secrets = SecretPair { signing_key: Some(key.clone()), ..rotated(&contract) };
    let sent = send(&contract, &secrets);
    let value = sent.get("webhook-signature").expect("signed");
    let kinds: Vec<&str> = value.split(' ').filter_map(|item| item.split(',').next()).collect();
    assert_eq!(kinds, ["v1", "v1", "v1a"]);
    assert_eq!(sent.verify(&contract, Keys::Public(&key.public()), BODY), Ok(()));
    let mismatch = Err(VerifyError::Mismatch { header: "webhook-signature".to_owned() });
    assert_eq!(sent.verify(&contract, Keys::Public(&key.public()), b"{}"), mismatch);
    assert_eq!(sent.verify(&contract, Keys::Public(&SigningKey::from_seed(&[6; 32]).public()), BODY), mismatch);
}

#[test]
fn a_contract_without_ed25519_ignores_the_key() {
    let contract = contract("generic");
    let key = SigningKey::from_seed(&[5; 32]);
    let secrets = SecretPair { signing_key: Some(key.clone()), ..SecretPair::new(Secret::new("s3cret")) };
    let sent = send(&contract, &secrets);
    assert_eq!(
        sent.get("X-Webhook-Signature"),
        Some("233d6e99cc3e50dc579b68f4195626b82b742f5d278225ee9b0c0ab08f4c0127")
    );
    let error = sent.verify(&contract, Keys::Public(&key.public()), BODY);
    assert_eq!(error, Err(VerifyError::NoEd25519("generic".to_owned())));
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let contract = contract("standard");
    let secrets = [secret(&contract, 1)];
    let keys = Keys::Secrets(&secrets);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut sent = send(&contract, &SecretPair::new(secret(&contract, 1)));
        sent.0.retain(|(sent, _)| sent != name);
        assert_eq!(sent.verify(&contract, keys, BODY), Err(VerifyError::MissingHeader(name.to_owned())));
    }
    let mut sent = send(&contract, &SecretPair::new(secret(&contract, 1)));
    sent.set("webhook-timestamp", "yesterday");
    let error = sent.verify(&contract, keys, BODY).expect_err("no number").to_string();
    assert_eq!(error, "the header `webhook-timestamp` does not hold a timestamp in Unix seconds");

    let contract = self::contract("bitbybit");
    let mut sent = send(&contract, &SecretPair::new(Secret::new("s3cret")));
    sent.set("X-BitByBit-Webhook-Signature", "v1=00");
    let error = sent.verify(&contract, Keys::Secrets(&[Secret::new("s3cret")]), BODY).expect_err("no t").to_string();
    assert_eq!(error, "the header `X-BitByBit-Webhook-Signature` does not hold a timestamp before the signature");
}

#[test]
fn a_signed_timestamp_has_an_age() {
    for name in ["bitbybit", "standard"] {
        let contract = contract(name);
        let secrets = [secret(&contract, 1)];
        let sent = send(&contract, &SecretPair::new(secret(&contract, 1)));
        let verify = |now| sent.verify_at(&contract, Keys::Secrets(&secrets), BODY, now);
        assert_eq!(verify(ATTEMPT_AT + 300), Ok(()));
        assert_eq!(verify(ATTEMPT_AT - 300), Ok(()));
        assert!(matches!(verify(ATTEMPT_AT + 301), Err(VerifyError::TooOld { by_secs: 301, tolerance_secs: 300, .. })));
        assert!(matches!(verify(ATTEMPT_AT - 301), Err(VerifyError::TooNew { by_secs: 301, .. })));
    }
    let contract = contract("eightbit");
    let sent = send(&contract, &SecretPair::new(secret(&contract, 1)));
    assert_eq!(sent.verify_at(&contract, Keys::Secrets(&[secret(&contract, 1)]), BODY, i64::MAX), Ok(()));
}

#[test]
fn a_stored_secret_of_another_form_is_an_error_not_a_wrong_signature() {
    let error = Signer::new(&contract("standard"), &SecretPair::new(Secret::new("s3cret"))).expect_err("no key");
    assert_eq!(error.to_string(), "a secret under the contract `standard` must be `whsec_` followed by base64");
}
