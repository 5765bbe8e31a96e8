//! The built-in contracts, pinned value by value: what a receiver was promised.

use std::time::Duration;

use super::*;
use crate::subscription::EventType;

fn contract(name: &str) -> Contract {
    let name = name.parse().expect("a name");
    let set = ContractSet::built_in();
    Contract::clone(set.get(&name).expect("a built-in contract"))
}

fn delays_secs(name: &str) -> Vec<u64> {
    contract(name).retry().delays().iter().map(Duration::as_secs).collect()
}

fn header_names(name: &str) -> Vec<(String, HeaderSource)> {
    contract(name).headers().fields().iter().map(|field| (field.name.clone(), field.value.clone())).collect()
}

fn types(name: &str) -> Vec<String> {
    contract(name).catalogue().types.iter().map(|entry| entry.name.to_string()).collect()
}

fn envelope(name: &str) -> Vec<(String, FieldSource)> {
    match contract(name).body().shape() {
        BodyShape::Bare => vec![],
        BodyShape::Envelope(fields) => fields.iter().map(|field| (field.name.clone(), field.value)).collect(),
    }
}

#[test]
fn there_are_four() {
    let set = ContractSet::built_in();
    let names: Vec<&str> = set.iter().map(|contract| contract.name().as_str()).collect();
    assert_eq!(names, ["bitbybit", "eightbit", "generic", "standard"]);
}

#[test]
fn delays() {
    assert_eq!(delays_secs("bitbybit"), [30, 300, 1_800, 7_200]);
    assert_eq!(delays_secs("eightbit"), [10, 60, 300, 900, 3_600, 21_600]);
    assert_eq!(delays_secs("generic"), [30, 300, 1_800, 7_200]);
    assert_eq!(delays_secs("standard"), [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
    let jitter = |name| contract(name).retry().jitter().to_string();
    assert_eq!(["bitbybit", "eightbit", "generic", "standard"].map(jitter), ["0", "0", "0", "0.1"]);
}

#[test]
fn the_tiers_of_all_four() {
    let secs: Vec<u64> = ContractSet::built_in().distinct_delays().iter().map(Duration::as_secs).collect();
    assert_eq!(secs, [5, 10, 30, 60, 300, 900, 1_800, 3_600, 7_200, 18_000, 21_600, 36_000, 50_400, 72_000, 86_400]);
}

#[test]
fn timeouts_limits_and_transport() {
    let row = |name| {
        let contract = contract(name);
        let limits = contract.limits();
        (
            contract.timeout().as_secs(),
            contract.https_only(),
            contract.response_capture_bytes(),
            limits.payload_bytes,
            limits.endpoints,
        )
    };
    assert_eq!(row("bitbybit"), (30, true, 4_096, 65_536, Some(10)));
    assert_eq!(row("eightbit"), (5, true, 4_096, 262_144, None));
    assert_eq!(row("generic"), (30, false, 4_096, 262_144, None));
    assert_eq!(row("standard"), (20, true, 4_096, 262_144, None));
    assert_eq!(contract("standard").limits().payload_warn_bytes, Some(20_000));
    assert_eq!(contract("generic").limits().payload_warn_bytes, None);
}

#[test]
fn bodies() {
    let full = |names: [&str; 4]| {
        let sources = [FieldSource::EventId, FieldSource::EventType, FieldSource::EventTimeRfc3339, FieldSource::Data];
        names.map(str::to_owned).into_iter().zip(sources).collect::<Vec<_>>()
    };
    assert_eq!(envelope("bitbybit"), []);
    assert_eq!(envelope("eightbit"), full(["id", "type", "created_at", "data"]));
    assert_eq!(envelope("generic"), full(["id", "type", "created_at", "data"]));
    assert_eq!(envelope("standard"), full(["", "type", "timestamp", "data"])[1..]);
    let format = |name| contract(name).body().format();
    assert_eq!(format("generic"), BodyFormat::Compact);
    assert_eq!(["bitbybit", "eightbit", "standard"].map(format), [BodyFormat::Raw; 3]);
}

#[test]
fn headers() {
    let owned = |pairs: &[(&str, HeaderSource)]| -> Vec<(String, HeaderSource)> {
        pairs.iter().map(|(name, source)| ((*name).to_owned(), source.clone())).collect()
    };
    assert_eq!(
        header_names("bitbybit"),
        owned(&[
            ("X-BitByBit-Webhook-Id", HeaderSource::EventId),
            ("X-BitByBit-Webhook-Event", HeaderSource::EventType),
            ("X-BitByBit-Webhook-Timestamp", HeaderSource::EventTimestampUnix),
        ])
    );
    assert_eq!(
        header_names("eightbit"),
        owned(&[("X-8bit-Event-Id", HeaderSource::EventId), ("X-8bit-Timestamp", HeaderSource::AttemptTimestampUnix)])
    );
    assert_eq!(header_names("generic"), []);
    assert_eq!(
        header_names("standard"),
        owned(&[("webhook-id", HeaderSource::EventId), ("webhook-timestamp", HeaderSource::AttemptTimestampUnix)])
    );
    let agent = |name| contract(name).headers().user_agent().to_owned();
    let own = concat!("Whimbrel/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        ["bitbybit", "eightbit", "generic", "standard"].map(agent),
        ["BitByBit-Webhooks/1.0", "8bit-Webhooks/1.0", own, own]
    );
    for contract in &ContractSet::built_in() {
        assert_eq!(contract.headers().content_type(), "application/json");
    }
}

#[test]
fn rotation() {
    let old = |name| contract(name).rotation().old().clone();
    assert_eq!(old("bitbybit"), OldSignature::SameHeader);
    assert_eq!(old("eightbit"), OldSignature::Header("X-8bit-Signature-256-Previous".to_owned()));
    assert_eq!(old("generic"), OldSignature::Header("X-Webhook-Signature-Previous".to_owned()));
    assert_eq!(old("standard"), OldSignature::SameHeader);
    for contract in &ContractSet::built_in() {
        assert_eq!(contract.rotation().overlap(), Duration::from_hours(24));
    }
}

#[test]
fn secrets() {
    let form = |name| {
        let form = contract(name).secret().clone();
        (form.prefix().to_owned(), form.encoding(), form.bytes(), form.own())
    };
    let text = |chars_min| Some(OwnSecret::Text { chars_min, chars_max: 256 });
    assert_eq!(form("bitbybit"), ("whsec_".to_owned(), Encoding::Hex, 32, None));
    assert_eq!(form("eightbit"), (String::new(), Encoding::Hex, 32, text(16)));
    assert_eq!(form("generic"), ("whsec_".to_owned(), Encoding::Hex, 32, text(12)));
    let same_form = Some(OwnSecret::SameForm { bytes_min: 24, bytes_max: 64 });
    assert_eq!(form("standard"), ("whsec_".to_owned(), Encoding::Base64, 32, same_form));
    assert!(ContractSet::built_in().iter().all(|contract| contract.secret().shown_once()));
}

#[test]
fn suspension() {
    let of = |name| contract(name).suspension().clone();
    assert_eq!(of("bitbybit"), Suspension { consecutive_failures: Some(10), ..Suspension::default() });
    assert_eq!(of("eightbit"), Suspension::default());
    assert_eq!(of("generic"), Suspension::default());
    assert_eq!(
        of("standard"),
        Suspension {
            consecutive_failures: None,
            failing_for: Some(FailingFor { period: Duration::from_hours(5 * 24), attempts_min: 5 }),
            gone_statuses: vec![410],
            throttle_statuses: vec![429, 502, 504],
        }
    );
}

#[test]
fn catalogues() {
    let closed = |name| contract(name).catalogue().closed;
    assert_eq!(["bitbybit", "eightbit", "generic", "standard"].map(closed), [true, true, false, false]);
    assert_eq!(
        types("bitbybit"),
        [
            "customer.created",
            "customer.updated",
            "customer.deleted",
            "order.created",
            "order.updated",
            "product.created",
            "product.updated",
            "product.deleted",
            "message.received",
            "message.status.updated",
        ]
    );
    assert_eq!(
        types("eightbit"),
        [
            "conversation.created",
            "conversation.updated",
            "conversation.ended",
            "conversation.rating",
            "conversation.escalated",
            "message.received",
            "message.sent",
            "message.failed",
            "agent.deployed",
            "agent.updated",
            "agent.undeployed",
            "agent.error",
            "session.started",
            "session.ended",
            "account.usage_threshold",
            "account.billing_updated",
        ]
    );
    assert_eq!(
        types("generic"),
        [
            "user.created",
            "user.updated",
            "user.deleted",
            "project.created",
            "project.updated",
            "project.deleted",
            "file.uploaded",
            "payment.succeeded",
            "payment.failed",
        ]
    );
    assert_eq!(types("standard"), [""; 0]);
}

#[test]
fn a_closed_catalogue_refuses_what_an_open_one_lets_pass() {
    let unknown = EventType::try_new("invoice.paid").expect("a type");
    let known = EventType::try_new("order.created").expect("a type");
    assert!(contract("bitbybit").catalogue().allows(&known));
    assert!(!contract("bitbybit").catalogue().allows(&unknown));
    assert!(contract("generic").catalogue().allows(&unknown));
    assert!(contract("standard").catalogue().allows(&unknown));
}

#[test]
fn every_named_type_has_a_sample() {
    for contract in &ContractSet::built_in() {
        for entry in &contract.catalogue().types {
            assert!(entry.example.is_some(), "{}: {}", contract.name(), entry.name);
        }
    }
    let example = contract("bitbybit").catalogue().example("customer.deleted").map(str::to_owned);
    assert_eq!(example.as_deref(), Some("{\n  \"id\": \"cust_abc123\"\n}"));
}

#[test]
fn an_attempts_position_in_its_round_gives_the_delay() {
    let generic = contract("generic");
    let after = |position| generic.retry().after(position, 0.9).map(|delay| delay.as_secs());
    assert_eq!([1, 2, 3, 4, 5, 6].map(after), [Some(30), Some(300), Some(1_800), Some(7_200), None, None]);
}

#[test]
fn rule_23_jitter_only_lengthens() {
    let standard = contract("standard");
    let after = |jitter| standard.retry().after(2, jitter).map(|delay| delay.as_millis());
    assert_eq!([0.0, 0.5, 1.0, 7.0, -7.0].map(after), [300_000, 315_000, 330_000, 330_000, 300_000].map(Some));
}

#[test]
fn scaling_multiplies_every_delay_and_never_reaches_zero() {
    let millis = |factor| -> Vec<u128> {
        contract("generic").scaled(factor).retry().delays().iter().map(Duration::as_millis).collect()
    };
    assert_eq!(millis(0.001), [30, 300, 1_800, 7_200]);
    assert_eq!(millis(2.0), [60_000, 600_000, 3_600_000, 14_400_000]);
    assert_eq!(millis(1e-9), [1, 1, 1, 1]);
    let set = ContractSet::built_in().scaled(0.001);
    assert_eq!(set.distinct_delays()[0], Duration::from_millis(5));
}
