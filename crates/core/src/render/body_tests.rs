//! Bodies under each contract: the published samples, and what compact data keeps and changes.

use super::compact::compact;
use super::*;
use crate::contract::ContractSet;

/// 2026-01-15T12:30:00Z and a bit, which receivers do not see.
const AT: Timestamp = Timestamp::from_micros(1_768_480_200_900_000);

fn rendered(contract: &str, event_type: &str, data: &str) -> Result<Rendered, RenderError> {
    let set = ContractSet::built_in();
    let contract = set.get(&contract.parse().expect("a name")).expect("built in");
    render(contract, "evt_abc123", event_type, AT, &Bytes::copy_from_slice(data.as_bytes()))
}

fn body(contract: &str, event_type: &str, data: &str) -> String {
    let rendered = rendered(contract, event_type, data).expect("small JSON");
    assert!(!rendered.raw_fallback);
    String::from_utf8(rendered.body.to_vec()).expect("JSON is text")
}

fn example(contract: &str, event_type: &str) -> String {
    let set = ContractSet::built_in();
    let contract = set.get(&contract.parse().expect("a name")).expect("built in");
    contract.catalogue().example(event_type).expect("a sample").to_owned()
}

fn compacted(json: &str) -> Option<String> {
    compact(json).map(|bytes| String::from_utf8(bytes).expect("JSON is text"))
}

#[test]
fn a_bare_body_is_the_data_byte_for_byte() {
    let set = ContractSet::built_in();
    let bitbybit = set.get(&"bitbybit".parse().expect("a name")).expect("built in");
    for entry in &bitbybit.catalogue().types {
        let sample = entry.example.as_deref().expect("a sample");
        assert_eq!(body("bitbybit", entry.name.as_str(), sample), sample);
    }
    let overview = include_str!("../../tests/samples/seed_000_customer.created.json");
    assert_eq!(body("bitbybit", "customer.created", overview), overview);
}

#[test]
fn raw_data_keeps_its_bytes_within_an_envelope() {
    let data = "{ \"b\": 1.0,\n\"a\":\"\\u00e9\\/\", \"b\" : 1E400, \"9007199254740993\": 9007199254740993 }";
    let eightbit =
        format!(r#"{{"id":"evt_abc123","type":"message.sent","created_at":"2026-01-15T12:30:00Z","data":{data}}}"#);
    assert_eq!(body("eightbit", "message.sent", data), eightbit);
    let standard = format!(r#"{{"type":"message.sent","timestamp":"2026-01-15T12:30:00Z","data":{data}}}"#);
    assert_eq!(body("standard", "message.sent", data), standard);
    let range = rendered("standard", "message.sent", data).expect("small JSON").data_range;
    assert_eq!(&standard[range], data);
}

#[test]
fn eightbits_samples_keep_their_bytes() {
    let set = ContractSet::built_in();
    let eightbit = set.get(&"eightbit".parse().expect("a name")).expect("built in");
    for entry in &eightbit.catalogue().types {
        let sample = entry.example.as_deref().expect("a sample");
        let whole = rendered("eightbit", entry.name.as_str(), sample).expect("small JSON");
        assert_eq!(whole.body.slice(whole.data_range), sample.as_bytes());
    }
}

#[test]
fn generics_published_sample_comes_out_as_json_stringify_prints_it() {
    let published = include_str!("../../tests/samples/seed_004_envelope.json");
    let printed = body("generic", "user.created", &example("generic", "user.created"));
    assert_eq!(Some(&printed), compacted(published).as_ref());
    assert_eq!(
        printed,
        concat!(
            r#"{"id":"evt_abc123","type":"user.created","created_at":"2026-01-15T12:30:00Z","#,
            r#""data":{"id":"user_123","name":"John Doe","email":"john@example.com","status":"active"}}"#
        )
    );
}

#[test]
fn generics_manual_test_data() {
    let published = include_str!("../../tests/samples/seed_004_manual_test.json");
    let data = r#"{"id":"user_test","name":"Test User"}"#;
    assert_eq!(compacted(published), Some(format!(r#"{{"id":"evt_test","type":"user.created","data":{data}}}"#)));
}

#[test]
fn data_that_ecmascript_would_change_goes_out_as_published() {
    let data = r#"{ "id": 9007199254740993 }"#;
    let rendered = rendered("generic", "a.b", data).expect("small JSON");
    assert!(rendered.raw_fallback);
    assert_eq!(rendered.body.slice(rendered.data_range), data.as_bytes());
    assert!(
        rendered.body.starts_with(br#"{"id":"evt_abc123","type":"a.b","created_at":"2026-01-15T12:30:00Z","data":"#)
    );
}

#[test]
fn what_keeps_its_meaning_is_printed_as_ecmascript_does() {
    for (json, printed) in [
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e7", "0"),
        ("1e2", "100"),
        ("1E+2", "100"),
        ("1e21", "1e+21"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
        ("1.10", "1.1"),
        ("0.1000000000000000055", "0.1"),
        ("9007199254740992", "9007199254740992"),
        ("-9007199254740991", "-9007199254740991"),
        ("123456789012345", "123456789012345"),
        ("100000000000000000000", "100000000000000000000"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"),
        (r#""\u00e9\/""#, "\"é/\""),
        (r#""\u0008\u0009\u000a\u000c\u000d\u001F\u007f""#, "\"\\b\\t\\n\\f\\r\\u001f\u{7f}\""),
        (r#""\"\\""#, r#""\"\\""#),
        (r#""\uD83D\uDE00""#, "\"😀\""),
        (r#""\uD83Dx""#, r#""\ud83dx""#),
        (r#""\uDE00\uD83D""#, r#""\ude00\ud83d""#),
        (r#""\uD83D\uD83D\uDE00""#, "\"\\ud83d😀\""),
        (r#""\uD83D\u0041""#, r#""\ud83dA""#),
        ("\"\u{2028}\"", "\"\u{2028}\""),
        (" [ ] ", "[]"),
        ("{ }", "{}"),
        ("[ 1 , true,\tnull\r\n,false ]", "[1,true,null,false]"),
        (r#"{"2":0,"10":0,"b":0,"a":0,"":0}"#, r#"{"2":0,"10":0,"b":0,"a":0,"":0}"#),
        (
            r#"{"b":0,"01":0,"1.5":0,"-1":0,"4294967295":0,"__proto__":{"toJSON":1}}"#,
            r#"{"b":0,"01":0,"1.5":0,"-1":0,"4294967295":0,"__proto__":{"toJSON":1}}"#,
        ),
    ] {
        assert_eq!(compacted(json).as_deref(), Some(printed), "{json}");
    }
}

#[test]
fn what_ecmascript_would_change_is_not_printed() {
    for json in [
        "9007199254740993",
        "-9007199254740993",
        "12345678901234567168",
        "9007199254740993.0",
        "9007199254740993e0",
        "9007199254740992.5",
        "1e400",
        "-1E400",
        "1e-400",
        "1e-99999999999999999999",
        "1e99999999999999999999",
        "[9223372036854775807]",
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"b":0,"1":0}"#,
        r#"{"10":0,"9":0}"#,
        r#"{"a":0,"4294967294":0}"#,
        r#"{"x":{"1":0,"0":0}}"#,
    ] {
        assert_eq!(compacted(json), None, "{json}");
    }
}

#[test]
fn depth_is_bounded_and_deeper_data_stays_as_published() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(compacted(&nested(128)), Some(nested(128)));
    assert_eq!(compacted(&nested(129)), None);
    let rendered = rendered("generic", "a.b", &nested(100_000)).expect("JSON all the same");
    assert!(rendered.raw_fallback);
}

#[test]
fn what_is_not_json_is_refused() {
    for data in ["", "{", "{} {}", "nul", "\"\u{1}\"", "[1,]", "01", "\u{feff}{}"] {
        assert!(matches!(rendered("generic", "a.b", data), Err(RenderError::NotJson(_))), "{data}");
    }
    let set = ContractSet::built_in();
    let generic = set.get(&"generic".parse().expect("a name")).expect("built in");
    let invalid = Bytes::from_static(b"\"\xff\"");
    assert!(matches!(render(generic, "evt_1", "a.b", AT, &invalid), Err(RenderError::NotJson(_))));
}

#[test]
fn rule_34_the_limit_counts_the_rendered_body() {
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    assert_eq!(body("bitbybit", "order.created", &text(65_536)).len(), 65_536);
    let error = rendered("bitbybit", "order.created", &text(65_537)).expect_err("a byte too many").to_string();
    assert_eq!(error, "the payload has 65537 bytes; the contract `bitbybit` allows 65536");
    assert!(matches!(rendered("generic", "a.b", &text(262_144)), Err(RenderError::TooLarge { .. })));
    // White space that is not sent does not count.
    assert_eq!(
        rendered("generic", "a.b", &" ".repeat(300_000).replacen(' ', "1", 1))
            .expect("small once compact")
            .data_range
            .len(),
        1
    );
}

#[test]
fn rule_34_times_have_whole_seconds() {
    let set = ContractSet::built_in();
    let generic = set.get(&"generic".parse().expect("a name")).expect("built in");
    let at = |secs| render(generic, "evt_1", "a.b", Timestamp::from_secs(secs), &Bytes::from_static(b"1"));
    let before_epoch = at(-1).expect("a year with four digits");
    assert!(before_epoch.body.ends_with(br#""created_at":"1969-12-31T23:59:59Z","data":1}"#));
    assert!(matches!(at(253_402_300_800), Err(RenderError::Time)));
}
