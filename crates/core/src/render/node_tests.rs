//! Compact data against the engine it imitates.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::compact::compact;

const TEXTS: usize = 600;

/// Reads a JSON array of JSON texts, prints the array of what JSON.stringify makes of each.
const SCRIPT: &str = "
    const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
    process.stdout.write(JSON.stringify(texts.map(text => JSON.stringify(JSON.parse(text)))));
";

fn node(texts: &[String]) -> Vec<String> {
    let mut child = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node must be installed: this test compares with a real JSON.stringify");
    let input = serde_json::to_vec(texts).expect("texts are JSON");
    child.stdin.take().expect("piped").write_all(&input).expect("node reads its input");
    let output = child.wait_with_output().expect("node ends");
    assert!(output.status.success(), "node failed");
    serde_json::from_slice(&output.stdout).expect("node prints the array")
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,3})",
        "-?(0|[1-9][0-9]{0,20})",
        "-?(0|[1-9][0-9]{0,18})\\.[0-9]{1,18}",
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,4})?[eE][+-]?[0-9]{1,3}",
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:e}")),
        any::<i64>().prop_map(|value| value.to_string()),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,3}",
        2 => "[ !#-\\[\\]-~é€😀\u{7f}\u{2028}\u{fffd}]",
        2 => r#"\\["\\/bfnrt]"#,
        2 => r"\\u00[0-9a-fA-F]{2}",
        2 => r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
        2 => r"\\u[0-9a-fA-F]{4}",
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => string(),
        2 => "\"[a-d]\"",
        1 => "\"[0-9]{1,2}\"",
        1 => "\"429496729[3-7]\"",
    ]
}

fn json() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let leaf = prop_oneof![word, number(), string()];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let spaced =
            (space(), inner, space()).prop_map(|(before, value, after)| format!("{before}{value}{after}")).boxed();
        let entry = (space(), key(), space(), spaced.clone())
            .prop_map(|(before, key, after, value)| format!("{before}{key}{after}:{value}"));
        prop_oneof![
            (proptest::collection::vec(spaced, 0..4), space()).prop_map(|(items, space)| match items.len() {
                0 => format!("[{space}]"),
                _ => format!("[{}]", items.join(",")),
            }),
            (proptest::collection::vec(entry, 0..5), space()).prop_map(|(entries, space)| match entries.len() {
                0 => format!("{{{space}}}"),
                _ => format!("{{{}}}", entries.join(",")),
            }),
        ]
    })
}

#[test]
fn what_is_printed_is_what_node_prints() {
    let mut runner = TestRunner::deterministic();
    let texts: Vec<String> = (0..TEXTS)
        .map(|_| json().new_tree(&mut runner).expect("the strategy rejects next to nothing").current())
        .collect();
    let mut printed = 0;
    for (text, expected) in texts.iter().zip(node(&texts)) {
        serde_json::from_str::<&serde_json::value::RawValue>(text).expect("the strategy makes JSON");
        if let Some(ours) = compact(text) {
            assert_eq!(String::from_utf8_lossy(&ours), expected, "{text}");
            printed += 1;
        }
    }
    assert!(printed > TEXTS / 2, "only {printed} of {TEXTS} were printed: the comparison says too little");
}

/// Where ECMAScript's print is a fixed point with other values or other keys, nothing may be printed.
#[test]
fn what_is_not_printed_is_what_node_changes() {
    let mut runner = TestRunner::deterministic();
    let integer = "-?[1-9][0-9]{0,22}";
    let texts: Vec<String> = (0..TEXTS).map(|_| integer.new_tree(&mut runner).expect("a pattern").current()).collect();
    for (text, node) in texts.iter().zip(node(&texts)) {
        // Below 1e21 ECMAScript prints integers in full, so the texts can be compared as they are.
        if !node.contains('e') {
            assert_eq!(compact(text).is_some(), *text == node, "{text} is {node} to node");
        }
    }
    let keys = proptest::collection::vec("0|[1-9][0-9]?|0[0-9]|[a-c]|429496729[3-7]", 1..4);
    let object = keys.prop_map(|keys| {
        let entries: Vec<String> = keys.iter().enumerate().map(|(place, key)| format!("\"{key}\":{place}")).collect();
        format!("{{{}}}", entries.join(","))
    });
    let texts: Vec<String> = (0..TEXTS).map(|_| object.new_tree(&mut runner).expect("a pattern").current()).collect();
    for (text, node) in texts.iter().zip(node(&texts)) {
        assert_eq!(compact(text).is_some(), *text == node, "{text} is {node} to node");
    }
}
