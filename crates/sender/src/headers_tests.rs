use std::sync::Arc;

use http::header::AUTHORIZATION;
use whimbrel_core::contract::{ContractSet, OldSignature};

use super::*;
use crate::target::Target;
use crate::testing::{endpoint, job};

fn contract(name: &str) -> Arc<Contract> {
    ContractSet::built_in().get(&name.parse().expect("a name")).expect("built in").clone()
}

fn pairs(pairs: &[(&str, &str)]) -> CustomHeaders {
    CustomHeaders(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn built(headers: &[(&str, &str)], name: &str) -> HeaderMap {
    custom(&pairs(headers), &contract(name)).expect("headers")
}

/// The headers of an attempt under a contract, to an endpoint with these of its own.
fn sent(headers: &[(&str, &str)], name: &str) -> HeaderMap {
    let contract = contract(name);
    let endpoint = endpoint(&contract, "https://example.com/", pairs(headers));
    let target = Target::new(&endpoint, Arc::new(Prepared::new(contract)), &crate::EgressPolicy::default());
    let way = target.way.unwrap_or_else(|error| panic!("{error:?}"));
    of_attempt(&way, &job(0), Timestamp::from_secs(1)).expect("headers")
}

#[test]
fn custom_headers_go_out_with_every_value() {
    let sent = sent(&[("Authorization", "Bearer t0ken"), ("x-team", "a"), ("X-Team", "b")], "generic");
    assert_eq!(sent[AUTHORIZATION], "Bearer t0ken");
    let teams: Vec<_> = sent.get_all("x-team").iter().collect();
    assert_eq!(teams, ["a", "b"]);
}

#[test]
fn the_contracts_headers_win_over_custom_ones_under_every_contract() {
    for contract in ContractSet::built_in().iter() {
        let name = contract.name().as_str();
        let plain = sent(&[], name);
        let mut own: Vec<(&str, &str)> = plain.keys().map(|name| (name.as_str(), "forged")).collect();
        own.push(("x-own", "kept"));
        let mut with_own = sent(&own, name);
        assert_eq!(with_own.remove("x-own").as_ref().map(HeaderValue::as_bytes), Some(&b"kept"[..]));
        assert_eq!(with_own, plain, "{name}");
    }
}

#[test]
fn a_header_of_the_old_signature_is_the_contracts_even_without_an_old_secret() {
    let set = ContractSet::built_in();
    let headers: Vec<(&Arc<Contract>, &str)> = set
        .iter()
        .filter_map(|contract| match contract.rotation().old() {
            OldSignature::Header(name) => Some((contract, name.as_str())),
            OldSignature::SameHeader => None,
        })
        .collect();
    assert!(!headers.is_empty());
    for (contract, name) in headers {
        assert!(built(&[(name, "forged")], contract.name().as_str()).is_empty());
    }
}

#[test]
fn what_http_sets_itself_is_not_custom() {
    for name in OF_HTTP {
        assert!(built(&[(name, "1"), (&name.to_uppercase(), "1")], "generic").is_empty(), "{name}");
    }
}

#[test]
fn values_are_sensitive_and_shown_nowhere() {
    let map = built(&[("authorization", "Bearer t0ken")], "generic");
    assert!(map[AUTHORIZATION].is_sensitive());
    assert!(!format!("{map:?}").contains("t0ken"));
}

#[test]
fn a_header_that_cannot_be_built_is_an_error_without_the_value() {
    for (name, value) in [("", "s3cret"), ("s3cret: x", "a"), ("x-key", "s3cret\r\nx: y"), ("x-key", "s3cret\0")] {
        let Failure { kind, message } =
            custom(&pairs(&[(name, value)]), &contract("generic")).expect_err("cannot be sent");
        assert_eq!(kind, ErrorKind::BadUrl);
        assert!(!message.contains("s3cret"), "{message}");
    }
    let many: Vec<(String, String)> = (0..100_000).map(|place| (format!("x-{place}"), String::new())).collect();
    assert!(custom(&CustomHeaders(many), &contract("generic")).is_err(), "too many");
}

proptest::proptest! {
    #[test]
    fn whatever_is_stored_nothing_panics(headers in proptest::collection::vec(proptest::prelude::any::<(String, String)>(), 0..4)) {
        let _ = custom(&CustomHeaders(headers), &contract("generic"));
    }
}
