use std::time::Duration;

use super::*;
use crate::contract::{Contract, ContractSet};
use crate::secret::{Secret, SecretPair, parse_ed25519, parse_public_key, public_key};
use crate::time::Timestamp;

fn contract(name: &str) -> std::sync::Arc<Contract> {
    ContractSet::built_in().get(&name.parse().expect("a name")).expect("built in").clone()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn message<'a>(id: &'a str, at: i64, body: &'a [u8]) -> Signed<'a> {
    let at = Timestamp::from_secs(at);
    Signed { event_id: id, event_type: "order.created", event_at: Timestamp::from_secs(5), attempt_at: at, body }
}

fn sign(name: &str, secrets: &SecretPair, message: &Signed<'_>) -> Vec<(String, String)> {
    Signer::new(&contract(name), secrets).headers(message)
}

#[test]
fn standard_webhooks_published_vectors() {
    for (secret, id, at, body, expected) in [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ] {
        let headers = sign("standard", &SecretPair::single(Secret::new(secret)), &message(id, at, body.as_bytes()));
        assert_eq!(header(&headers, "webhook-signature"), Some(expected));
        assert_eq!(header(&headers, "webhook-id"), Some(id));
        assert_eq!(header(&headers, "webhook-timestamp"), Some(at.to_string().as_str()));
    }
}

#[test]
fn ed25519_published_vector() {
    let private = Secret::new("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==");
    let key = parse_ed25519(&private).expect("a key");
    assert_eq!(public_key(&key), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    let secrets = SecretPair {
        ed25519: Some(private),
        ..SecretPair::single(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    };
    let headers =
        sign("standard", &secrets, &message("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#));
    assert_eq!(
        header(&headers, "webhook-signature"),
        Some(
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= \
             v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        )
    );
}

#[test]
fn githubs_published_vector() {
    let secrets = SecretPair::single(Secret::new("It's a Secret to Everybody"));
    let headers = sign("eightbit", &secrets, &message("evt_1", 7, b"Hello, World!"));
    assert_eq!(
        header(&headers, "X-8bit-Signature-256"),
        Some("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    );
    assert_eq!(header(&headers, "X-8bit-Timestamp"), Some("7"));
}

#[test]
fn bitbybit_keeps_the_events_time_and_signs_the_attempts() {
    let headers = sign("bitbybit", &SecretPair::single(Secret::new("s3cret")), &message("evt_1", 99, b"{}"));
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "X-BitByBit-Webhook-Id",
            "X-BitByBit-Webhook-Event",
            "X-BitByBit-Webhook-Timestamp",
            "User-Agent",
            "Content-Type",
            "X-BitByBit-Webhook-Signature"
        ]
    );
    assert_eq!(header(&headers, "X-BitByBit-Webhook-Timestamp"), Some("5"));
    assert_eq!(header(&headers, "User-Agent"), Some("BitByBit-Webhooks/1.0"));
    assert!(header(&headers, "X-BitByBit-Webhook-Signature").is_some_and(|value| value.starts_with("t=99,v1=")));
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn check(name: &str, headers: &[(String, String)], secret: &str, body: &[u8], now: i64) -> Result<(), VerifyError> {
    let keys = Keys { secrets: vec![Secret::new(secret)], public_key: None };
    let lookup = |name: &str| header(headers, name);
    verify(&contract(name), &keys, &lookup, body, Timestamp::from_secs(now), Duration::from_mins(5))
}

#[test]
fn every_contract_verifies_its_own_and_refuses_what_was_changed() {
    for name in ["bitbybit", "eightbit", "generic", "standard"] {
        let headers = sign(name, &SecretPair::single(Secret::new(SECRET)), &message("evt_1", 1000, b"{\"a\":1}"));
        assert_eq!(check(name, &headers, SECRET, b"{\"a\":1}", 1100), Ok(()), "{name}");
        assert!(matches!(check(name, &headers, SECRET, b"{\"a\":2}", 1100), Err(VerifyError::Mismatch(_))), "{name}");
        assert!(matches!(check(name, &headers, OLD, b"{\"a\":1}", 1100), Err(VerifyError::Mismatch(_))), "{name}");
        assert!(matches!(check(name, &[], SECRET, b"{\"a\":1}", 1100), Err(VerifyError::Missing(_))), "{name}");
    }
}

#[test]
fn signed_timestamps_have_a_tolerance() {
    for name in ["bitbybit", "standard"] {
        let headers = sign(name, &SecretPair::single(Secret::new(SECRET)), &message("evt_1", 1000, b"{}"));
        for now in [1000 - 301, 1000 + 301] {
            assert!(matches!(check(name, &headers, SECRET, b"{}", now), Err(VerifyError::Stale { at: 1000, .. })), "{name}");
        }
    }
}

#[test]
fn during_a_rotation_old_and_new_are_accepted_and_afterwards_only_the_new() {
    let until = Timestamp::from_secs(2000);
    let (secrets, dropped) =
        SecretPair::single(Secret::new(OLD)).rotated(Secret::new(SECRET), Timestamp::from_secs(500), until);
    assert!(!dropped);
    for name in ["bitbybit", "standard"] {
        let headers = sign(name, &secrets, &message("evt_1", 1000, b"{}"));
        assert_eq!(check(name, &headers, SECRET, b"{}", 1000), Ok(()));
        assert_eq!(check(name, &headers, OLD, b"{}", 1000), Ok(()));
        let headers = sign(name, &secrets, &message("evt_1", 2000, b"{}"));
        assert!(check(name, &headers, OLD, b"{}", 2000).is_err());
    }
    for (name, previous) in [("eightbit", "X-8bit-Signature-256-Previous"), ("generic", "X-Webhook-Signature-Previous")] {
        let headers = sign(name, &secrets, &message("evt_1", 1000, b"{}"));
        assert_eq!(check(name, &headers, SECRET, b"{}", 1000), Ok(()));
        let old = sign(name, &SecretPair::single(Secret::new(OLD)), &message("evt_1", 1000, b"{}"));
        assert_eq!(header(&headers, previous), old.last().map(|(_, value)| value.as_str()));
        let later = sign(name, &secrets, &message("evt_1", 2000, b"{}"));
        assert_eq!(header(&later, previous), None);
    }
}

#[test]
fn rule_30_a_second_rotation_within_the_overlap_drops_the_oldest_and_says_so() {
    let until = Timestamp::from_secs(2000);
    let first = SecretPair::single(Secret::new("one"));
    let (second, _) = first.rotated(Secret::new("two"), Timestamp::from_secs(500), until);
    let (third, dropped) = second.rotated(Secret::new("three"), Timestamp::from_secs(600), until);
    assert!(dropped);
    assert_eq!(third.previous_at(Timestamp::from_secs(700)).map(Secret::expose), Some("two"));
}

#[test]
fn public_keys_verify_ed25519_signatures() {
    let private = Secret::new("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==");
    let secrets = SecretPair { ed25519: Some(private), ..SecretPair::single(Secret::new(SECRET)) };
    let headers = sign("standard", &secrets, &message("evt_1", 1000, b"{}"));
    let public = parse_public_key("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    let keys = Keys { secrets: vec![], public_key: public };
    let lookup = |name: &str| header(&headers, name);
    let at = Timestamp::from_secs(1000);
    let tolerance = Duration::from_mins(5);
    assert_eq!(verify(&contract("standard"), &keys, &lookup, b"{}", at, tolerance), Ok(()));
    assert!(verify(&contract("standard"), &keys, &lookup, b"{ }", at, tolerance).is_err());
}
