use super::*;

fn built_in(name: &str) -> Arc<Contract> {
    ContractSet::built_in().get(&name.parse().expect("a name")).expect("built in").clone()
}

fn seconds(contract: &Contract) -> Vec<u64> {
    contract.delays().iter().map(Duration::as_secs).collect()
}

#[test]
fn the_tables_of_the_four() {
    let bitbybit = built_in("bitbybit");
    assert_eq!(seconds(&bitbybit), [30, 300, 1800, 7200]);
    assert_eq!((bitbybit.timeout().as_secs(), bitbybit.payload_bytes_max(), bitbybit.endpoints_per_tenant()), (30, 65_536, Some(10)));
    assert_eq!(bitbybit.suspension().consecutive_failures, Some(10));
    assert!(bitbybit.https_only() && bitbybit.catalogue_is_closed() && bitbybit.catalogue().len() == 10);

    let eightbit = built_in("eightbit");
    assert_eq!(seconds(&eightbit), [10, 60, 300, 900, 3600, 21_600]);
    assert_eq!(eightbit.attempts_max(), 7);
    assert_eq!((eightbit.timeout().as_secs(), eightbit.payload_bytes_max(), eightbit.endpoints_per_tenant()), (5, 262_144, None));
    assert_eq!(*eightbit.suspension(), Suspension::default());
    assert!(eightbit.https_only() && eightbit.catalogue_is_closed() && eightbit.catalogue().len() == 16);

    let generic = built_in("generic");
    assert_eq!(seconds(&generic), [30, 300, 1800, 7200]);
    assert_eq!((generic.timeout().as_secs(), generic.payload_bytes_max()), (30, 262_144));
    assert!(!generic.https_only() && !generic.catalogue_is_closed() && generic.catalogue().len() == 9);

    let standard = built_in("standard");
    let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * 3600);
    assert_eq!(seconds(&standard), [5, 300, 1800].into_iter().chain(hours).collect::<Vec<_>>());
    assert!((standard.jitter() - 0.1).abs() < f64::EPSILON);
    assert_eq!(standard.suspension().gone_statuses, [410]);
    assert_eq!(standard.suspension().throttle_statuses, [429, 502, 504]);
    assert_eq!(standard.suspension().failing_for, Some(FailingFor { period: Duration::from_hours(120), attempts_min: 5 }));
    assert_eq!((standard.timeout().as_secs(), standard.payload_bytes_warn()), (20, Some(20_000)));

    for contract in ContractSet::built_in().iter() {
        assert_eq!(contract.response_capture_bytes(), 4096);
    }
}

#[test]
fn positions_and_jitter() {
    let standard = built_in("standard");
    assert_eq!(standard.retry_after(1, 0.0), Some(Duration::from_secs(5)));
    assert_eq!(standard.retry_after(1, 1.0), Some(Duration::from_millis(5500)));
    assert_eq!(standard.retry_after(10, 0.5), None);
    assert_eq!(built_in("generic").retry_after(4, 0.9), Some(Duration::from_secs(7200)));
    assert_eq!(built_in("generic").retry_after(5, 0.9), None);
    assert_eq!(built_in("generic").retry_after(0, 0.9), None);
}

#[test]
fn scaling_multiplies_every_delay() {
    let scaled = ContractSet::built_in().scaled(0.001);
    let delays = scaled.get(&"generic".parse().expect("a name")).expect("built in").delays().to_vec();
    assert_eq!(delays, [30, 300, 1800, 7200].map(Duration::from_millis));
}

#[test]
fn closed_catalogues_take_only_patterns_that_can_match() {
    let closed = built_in("bitbybit");
    for (pattern, accepted) in [("order.*", true), ("*", true), ("order.created", true), ("endpoint.*", true), ("webhook.test", true), ("user.*", false), ("order.paid", false)] {
        assert_eq!(closed.accepts_pattern(&pattern.parse().expect("a pattern")), accepted, "{pattern}");
    }
    assert!(!closed.accepts_type(&"order.paid".parse().expect("a type")));
    assert!(built_in("generic").accepts_type(&"order.paid".parse().expect("a type")));
}

const GENERIC: &str = include_str!("../../../../proto/contracts/generic.toml");

fn error(from: &str, to: &str) -> String {
    assert!(GENERIC.contains(from), "{from}");
    Contract::parse("own.toml", &GENERIC.replacen(from, to, 1)).expect_err("a broken file").to_string()
}

#[test]
fn every_message_names_file_and_field() {
    for (from, to, expected) in [
        ("name = \"generic\"", "name = \"Generic\"", "own.toml: name: `Generic` is not a contract name"),
        ("timeout = \"30s\"", "timeout = \"0s\"", "own.toml: delivery.timeout: must be longer than 0 and at most 5m"),
        ("\"5m\"", "\"0s\"", "own.toml: retry.delays[1]: must be longer than 0"),
        ("\"5m\"", "\"soon\"", "own.toml: retry.delays[1]: `soon` is not a duration"),
        ("content = \"{body}\"", "content = \"{what}\"", "own.toml: signature.content: `{what}` has a placeholder"),
        ("content = \"{body}\"", "content = \"{id}\"", "own.toml: signature.content: must contain {body}"),
        ("each = \"{signature}\"", "each = \"x\"", "own.toml: signature.each: must contain {signature}"),
        ("previous_header = \"X-Webhook-Signature-Previous\"", "", "own.toml: signature.separator: is needed"),
        ("header = \"X-Webhook-Signature\"", "header = \"X Sig\"", "own.toml: signature.header: is not a header name"),
        ("bytes = 32", "bytes = 8", "own.toml: secret.bytes: must lie between 16 and 64"),
        ("name = \"data\", from = \"data\"", "name = \"data\", from = \"event_id\"", "own.toml: body.fields: exactly one"),
        ("payload_bytes_max = 262144", "payload_bytes_max = 0", "own.toml: limits.payload_bytes_max: must lie"),
        ("name = \"user.created\"", "name = \"user created\"", "own.toml: catalogue.types[0].name: `user created` is not an event type"),
    ] {
        let message = error(from, to);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn unknown_fields_are_refused_by_name() {
    let message = error("https_only = false", "https_only = false\nretries = 3");
    assert!(message.starts_with("own.toml: ") && message.contains("retries"), "{message}");
}

#[test]
fn a_fifth_provider_is_a_fifth_file() {
    let text = GENERIC
        .replace("name = \"generic\"", "name = \"fifth\"")
        .replace("each = \"{signature}\"", "each = \"sig[{signature}]\"")
        .replace("content = \"{body}\"", "content = \"{id}|{body}\"")
        .replace("[[headers]]\nname = \"User-Agent\"", "[[headers]]\nname = \"X-Fifth\"\nfrom = \"event_id\"\n\n[[headers]]\nname = \"User-Agent\"");
    let set = ContractSet::load([("fifth.toml", text)]).expect("a contract");
    let fifth = set.get(&"fifth".parse().expect("a name")).expect("loaded");
    let secrets = crate::secret::SecretPair::single(crate::secret::Secret::new("a secret of its own"));
    let at = crate::Timestamp::from_secs(1);
    let signed = crate::signing::Signed { event_id: "evt_1", event_type: "a.b", event_at: at, attempt_at: at, body: b"{}" };
    let headers = crate::signing::Signer::new(fifth, &secrets).headers(&signed);
    let lookup = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(lookup("X-Fifth"), Some("evt_1"));
    let keys = crate::signing::Keys { secrets: vec![secrets.current.clone()], public_key: None };
    assert_eq!(crate::signing::verify(fifth, &keys, &lookup, b"{}", at, Duration::from_secs(1)), Ok(()));
    assert!(crate::signing::verify(fifth, &keys, &lookup, b"{ }", at, Duration::from_secs(1)).is_err());
}

#[test]
fn own_secrets_are_checked_with_the_form_in_words() {
    let message = |name: &str, secret: &str| built_in(name).secret().check(secret).expect_err("refused");
    assert!(message("bitbybit", "whatever-it-is-now").contains("generated"));
    assert!(message("eightbit", "fifteen-chars-x").contains("at least 16"));
    assert!(message("generic", "eleven-char").contains("at least 12"));
    assert!(message("standard", "whsec_c2hvcnQ=").contains("base64 of 24 to 64 bytes"));
    assert_eq!(built_in("standard").secret().check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Ok(()));
}
