use std::io::Write as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::contract::ContractSet;

fn rendered(contract: &str, data: &str) -> Result<Rendered, RenderError> {
    let contracts = ContractSet::built_in();
    let contract = contracts.get(&contract.parse().expect("a name")).expect("built in");
    let at = Timestamp::from_micros(1_768_480_200_999_999);
    render(contract, "evt_1", "order.created", at, &Bytes::copy_from_slice(data.as_bytes()))
}

#[test]
fn envelopes_hold_the_data_byte_for_byte() {
    let data = r#"{ "b" : 1.0, "a":"\u00e9\/", "n": 12345678901234567890 }"#;
    let body = rendered("standard", data).expect("a body");
    let text = std::str::from_utf8(&body.body).expect("text");
    assert_eq!(text, format!(r#"{{"type":"order.created","timestamp":"2026-01-15T12:30:00Z","data":{data}}}"#));
    assert_eq!(&text[body.data_range], data);
    assert_eq!(rendered("bitbybit", data).expect("a body").body, data.as_bytes());
}

#[test]
fn every_sample_goes_through_byte_for_byte() {
    for contract in ContractSet::built_in().iter() {
        for entry in contract.catalogue() {
            let Some(sample) = &entry.example else { continue };
            let body = rendered(contract.name().as_str(), sample).expect("a body");
            let text = std::str::from_utf8(&body.body[body.data_range.clone()]).expect("text");
            let expected = if contract.name().as_str() == "generic" { compact(sample).expect("plain data") } else { sample.clone() };
            assert_eq!(text, expected, "{} {}", contract.name(), entry.event_type);
        }
    }
}

#[test]
fn what_javascript_cannot_give_back_goes_raw() {
    for data in ["9007199254740993", "1e400", r#"{"b":1,"1":2}"#, r#"{"2":1,"1":2}"#, r#"{"a":1,"a":2}"#, "-123456789012345678901"] {
        let body = rendered("generic", data).expect("a body");
        assert!(body.raw_fallback, "{data}");
        assert!(body.body.ends_with(format!("\"data\":{data}}}").as_bytes()), "{data}");
    }
    assert!(!rendered("generic", "9007199254740991").expect("a body").raw_fallback);
}

#[test]
fn what_is_no_json_is_refused() {
    for data in ["", "{", "{} {}", "nul", "{'a':1}", "\u{feff}{}"] {
        assert!(matches!(rendered("standard", data), Err(RenderError::NotJson(_))), "{data}");
    }
}

#[test]
fn rule_34_the_limit_holds_for_the_rendered_body() {
    let fits = format!("\"{}\"", "x".repeat(65_536 - 2));
    assert!(rendered("bitbybit", &fits).is_ok());
    let over = format!("\"{}\"", "x".repeat(65_536 - 1));
    assert_eq!(rendered("bitbybit", &over), Err(RenderError::TooLarge { bytes: 65_537, bytes_max: 65_536 }));
}

/// One JSON value a line through a real JavaScript engine.
fn stringify(texts: &[String]) -> Vec<String> {
    const SCRIPT: &str = "const t = JSON.parse(require('fs').readFileSync(0)); \
        process.stdout.write(JSON.stringify(t.map(x => JSON.stringify(JSON.parse(x)))))";
    let mut node = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test compares with a real JavaScript engine: install Node.js");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    node.stdin.take().expect("piped").write_all(&input).expect("node reads");
    let output = node.wait_with_output().expect("node ends");
    serde_json::from_slice(&output.stdout).expect("node prints JSON")
}

fn json_text() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        (any::<i16>(), 0u32..9_999, -30i32..30).prop_map(|(a, b, e)| format!("{a}.{b}e{e}")),
        Just("-0".to_owned()),
        Just("1.0".to_owned()),
        Just("1E+21".to_owned()),
    ];
    let string = prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
        Just(r#""\u00e9\/\ud83d\ude00\ud800\u0000\u001F\u007f\u2028""#.to_owned()),
    ];
    let leaf = prop_oneof![number, string, Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,\n"))),
            prop::collection::btree_map("[a-z_é]{1,6}", inner, 0..5).prop_map(|map| {
                let fields: Vec<_> = map.iter().map(|(key, value)| format!("\"{key}\" :\t{value}")).collect();
                format!("{{ {} }}", fields.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn the_compact_form_is_what_javascript_prints(texts in prop::collection::vec(json_text(), 200)) {
        let expected = stringify(&texts);
        for (text, expected) in texts.iter().zip(expected) {
            prop_assert_eq!(compact(text), Some(expected), "{}", text);
        }
    }
}
