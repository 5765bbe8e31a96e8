//! What filters match, what they refuse, and that neither can be upset by any JSON.

#![expect(clippy::needless_pass_by_value, reason = "JSON literals read best as arguments")]

use proptest::prelude::*;

use super::*;

fn filter(json: Value) -> Filter {
    Filter::parse(&json).unwrap_or_else(|error| panic!("{json}: {error} at {}", error.pointer))
}

fn holds(op: &str, value: Value, data: &str) -> bool {
    filter(json!({"pointer": "/f", "op": op, "value": value})).matches(data.as_bytes())
}

fn refused(json: Value) -> (String, String) {
    let error = Filter::parse(&json).expect_err(&json.to_string());
    (error.pointer, error.message)
}

fn place(json: Value) -> String {
    refused(json).0
}

#[test]
fn equality_is_jsons_with_numbers_by_value() {
    for (value, data, equal) in [
        (json!(1), r#"{"f":1.0}"#, true),
        (json!(1.0), r#"{"f":1}"#, true),
        (json!(1e2), r#"{"f":100}"#, true),
        (json!(-0.0), r#"{"f":0}"#, true),
        (json!(1), r#"{"f":"1"}"#, false),
        (json!(1), r#"{"f":true}"#, false),
        (json!(null), r#"{"f":null}"#, true),
        (json!(null), r#"{"f":false}"#, false),
        (json!("é"), r#"{"f":"\u00e9"}"#, true),
        (json!([1, {"a": 2}]), r#"{"f":[1.0,{"a":2.0}]}"#, true),
        (json!([1, 2]), r#"{"f":[2,1]}"#, false),
        (json!([1]), r#"{"f":[1,1]}"#, false),
        (json!({"a": 1, "b": 2}), r#"{"f":{"b":2,"a":1}}"#, true),
        (json!({"a": 1}), r#"{"f":{"a":1,"b":2}}"#, false),
        (json!({"a": 1}), r#"{"f":{"b":1}}"#, false),
    ] {
        assert_eq!(holds("eq", value.clone(), data), equal, "{value} {data}");
        assert_eq!(holds("ne", value.clone(), data), !equal, "{value} {data}");
        assert_eq!(holds("in", json!(["other", value]), data), equal, "{value} {data}");
    }
}

#[test]
fn integers_are_compared_exactly_and_others_as_doubles() {
    assert!(!holds("eq", json!(9_007_199_254_740_993_u64), r#"{"f":9007199254740992}"#));
    assert!(holds("gt", json!(9_007_199_254_740_992_u64), r#"{"f":9007199254740993}"#));
    assert!(holds("gt", json!(i64::MIN), r#"{"f":18446744073709551615}"#));
    assert!(!holds("gt", json!(u64::MAX), r#"{"f":18446744073709551615}"#));
    assert!(holds("lt", json!(100.5), r#"{"f":100}"#));
    assert!(holds("eq", json!(1e20), r#"{"f":100000000000000000000}"#));
}

#[test]
fn order_is_within_one_kind() {
    let verdicts = |value: Value, data: &str| ["gt", "gte", "lt", "lte"].map(|op| holds(op, value.clone(), data));
    assert_eq!(verdicts(json!(100), r#"{"f":101}"#), [true, true, false, false]);
    assert_eq!(verdicts(json!(100), r#"{"f":100.0}"#), [false, true, false, true]);
    assert_eq!(verdicts(json!(100), r#"{"f":99.9}"#), [false, false, true, true]);
    assert_eq!(verdicts(json!("b"), r#"{"f":"bz"}"#), [true, true, false, false]);
    assert_eq!(verdicts(json!("b"), r#"{"f":"b"}"#), [false, true, false, true]);
    assert_eq!(verdicts(json!("b"), r#"{"f":"B"}"#), [false, false, true, true]);
    // By UTF-16 units, U+1F600 would come before U+FF5E.
    assert_eq!(verdicts(json!("\u{ff5e}"), "{\"f\":\"\u{1f600}\"}"), [true, true, false, false]);
    for data in [r#"{"f":"101"}"#, r#"{"f":null}"#, r#"{"f":[101]}"#, r#"{"f":true}"#, "{}", "101"] {
        assert_eq!(verdicts(json!(100), data), [false; 4], "{data}");
    }
    assert_eq!(verdicts(json!("1"), r#"{"f":2}"#), [false; 4]);
}

#[test]
fn prefixes_are_of_strings() {
    assert!(holds("prefix", json!("ord"), r#"{"f":"order"}"#) && holds("prefix", json!(""), r#"{"f":""}"#));
    for data in [r#"{"f":"or"}"#, r#"{"f":"Order"}"#, r#"{"f":["ord"]}"#, r#"{"f":1}"#, "{}"] {
        assert!(!holds("prefix", json!("ord"), data), "{data}");
    }
}

#[test]
fn a_null_field_exists_and_the_default_asks_for_existence() {
    assert!(holds("exists", json!(true), r#"{"f":null}"#) && !holds("exists", json!(true), r#"{"g":1}"#));
    assert!(holds("exists", json!(false), "[]") && !holds("exists", json!(false), r#"{"f":0}"#));
    assert_eq!(
        filter(json!({"pointer": "/f", "op": "exists"})),
        filter(json!({"pointer": "/f", "op": "exists", "value": true}))
    );
}

#[test]
fn of_an_absent_field_only_its_difference_and_absence_hold() {
    for (op, value) in [
        ("eq", json!(null)),
        ("in", json!([null])),
        ("prefix", json!("")),
        ("gt", json!(0)),
        ("gte", json!(0)),
        ("lt", json!(0)),
        ("lte", json!(0)),
        ("exists", json!(true)),
    ] {
        assert!(!holds(op, value.clone(), "{}"), "{op}");
        let inverted = filter(json!({"not": {"pointer": "/f", "op": op, "value": value}}));
        assert!(inverted.matches(b"{}"), "not {op}");
    }
    assert!(holds("ne", json!(null), "{}"));
}

#[test]
fn all_any_and_not_combine() {
    let is = |field: &str| json!({"pointer": format!("/{field}"), "op": "eq", "value": true});
    let both = filter(json!({"all": [is("a"), is("b")]}));
    let either = filter(json!({"any": [is("a"), is("b")]}));
    let neither = filter(json!({"not": {"any": [is("a"), is("b")]}}));
    for (a, b) in [(false, false), (false, true), (true, false), (true, true)] {
        let data = json!({"a": a, "b": b});
        assert_eq!(both.matches_value(&data), a && b, "{data}");
        assert_eq!(either.matches_value(&data), a || b, "{data}");
        assert_eq!(neither.matches_value(&data), !(a || b), "{data}");
    }
}

#[test]
fn pointers_follow_rfc_6901() {
    let data = json!({
        "": 0, "a/b": 1, "m~n": 2, "~1": 3, "list": ["x", "y", {"k": 4}], "-": 5, "01": 6, "c%d": 7, " ": 8
    });
    for (pointer, found) in [
        ("/", json!(0)),
        ("/a~1b", json!(1)),
        ("/m~0n", json!(2)),
        ("/~01", json!(3)),
        ("/list/0", json!("x")),
        ("/list/2/k", json!(4)),
        ("/-", json!(5)),
        ("/01", json!(6)),
        ("/c%d", json!(7)),
        ("/ ", json!(8)),
        ("", data.clone()),
    ] {
        assert!(filter(json!({"pointer": pointer, "op": "eq", "value": found})).matches_value(&data), "{pointer}");
    }
    let huge = format!("/list/{}", "9".repeat(40));
    for pointer in
        ["/list/-", "/list/00", "/list/01", "/list/+1", "/list/3", "/list/", "/list/0/0", "//", "/a/b", "/ /x", &huge]
    {
        assert!(filter(json!({"pointer": pointer, "op": "exists", "value": false})).matches_value(&data), "{pointer}");
    }
}

#[test]
fn unreadable_data_does_not_match_and_the_last_of_two_keys_counts() {
    let any = filter(json!({"pointer": "/f", "op": "exists", "value": false}));
    for data in [&b""[..], b"{", b"{'f':1}", b"1 2", b"1e400", b"\xff", b"\"\\ud800\""] {
        assert!(!any.matches(data), "{}", String::from_utf8_lossy(data));
    }
    assert!(holds("eq", json!(2), r#"{"f":1,"f":2}"#) && !holds("eq", json!(1), r#"{"f":1,"f":2}"#));
}

#[test]
fn refusals_name_the_place() {
    let good = || json!({"pointer": "/f", "op": "eq", "value": 1});
    for (json, pointer) in [
        (json!(null), ""),
        (json!({}), ""),
        (json!({"pointr": "/f"}), "/pointr"),
        (json!({"pointer": "/f"}), ""),
        (json!({"op": "eq", "value": 1}), ""),
        (json!({"pointer": "/f", "op": "eq"}), ""),
        (json!({"pointer": "/f", "op": "like", "value": 1}), "/op"),
        (json!({"pointer": "/f", "op": 1, "value": 1}), "/op"),
        (json!({"pointer": 1, "op": "eq", "value": 1}), "/pointer"),
        (json!({"pointer": "f", "op": "eq", "value": 1}), "/pointer"),
        (json!({"pointer": "/~", "op": "eq", "value": 1}), "/pointer"),
        (json!({"pointer": "/~2", "op": "eq", "value": 1}), "/pointer"),
        (json!({"pointer": "/~é", "op": "eq", "value": 1}), "/pointer"),
        (json!({"pointer": "/f", "op": "eq", "value": 1, "case/less": true}), "/case~1less"),
        (json!({"pointer": "/f", "op": "in", "value": "x"}), "/value"),
        (json!({"pointer": "/f", "op": "in", "value": []}), "/value"),
        (json!({"pointer": "/f", "op": "prefix", "value": 1}), "/value"),
        (json!({"pointer": "/f", "op": "exists", "value": "yes"}), "/value"),
        (json!({"pointer": "/f", "op": "gt", "value": null}), "/value"),
        (json!({"all": good()}), "/all"),
        (json!({"any": []}), "/any"),
        (json!({"all": [good()], "any": [good()]}), "/any"),
        (json!({"all": [good()], "op": "eq"}), "/op"),
        (json!({"not": [good()]}), "/not"),
        (json!({"any": [good(), {"not": {"all": [good(), {"pointer": "", "op": "=="}]}}]}), "/any/1/not/all/1/op"),
    ] {
        assert_eq!(place(json.clone()), pointer, "{json}");
    }
    assert!(refused(json!({"pointer": "/f", "op": "like", "value": 1})).1.contains("`like` is not one of `eq`"));
}

#[test]
fn the_bounds_hold_and_what_meets_them_is_accepted() {
    let one = || json!({"pointer": "/f", "op": "eq", "value": 1});
    let many = |count: usize| json!({"all": vec![one(); count]});
    filter(many(COMPARISONS_MAX));
    assert_eq!(place(many(COMPARISONS_MAX + 1)), "/all/64");

    let deep = |depth: usize| (1..depth).fold(one(), |inner, _| json!({"not": inner}));
    filter(deep(DEPTH_MAX));
    assert_eq!(place(deep(DEPTH_MAX + 1)), "/not".repeat(DEPTH_MAX));

    let long = |bytes: usize| json!({"pointer": format!("/{}", "f".repeat(bytes - 1)), "op": "exists"});
    filter(long(POINTER_BYTES_MAX));
    assert_eq!(place(long(POINTER_BYTES_MAX + 1)), "/pointer");

    let around = json!({"pointer": "", "op": "eq", "value": ""}).to_string().len();
    let large = |bytes: usize| json!({"pointer": "", "op": "eq", "value": "x".repeat(bytes - around)});
    filter(large(FILTER_BYTES_MAX));
    assert!(refused(large(FILTER_BYTES_MAX + 1)).1.contains("8193"));
}

#[test]
fn serde_checks_what_parse_checks() {
    let error = serde_json::from_str::<Filter>(r#"{"not":{"pointer":"/f","op":"like"}}"#).expect_err("no such op");
    assert!(error.to_string().contains("`/not/op`") && error.to_string().contains("`like`"), "{error}");
    let text = r#"{"all":[{"op":"gt","pointer":"/order/total","value":100}]}"#;
    let read: Filter = serde_json::from_str(text).expect("a filter");
    assert_eq!(serde_json::to_string(&read).expect("plain JSON"), text);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c~/]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c0-2~/]{0,2}", inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

fn any_filter() -> impl Strategy<Value = Value> {
    let pointer = "(/([a-c0-2]|~0|~1){0,2}){0,3}";
    let comparison = |op: BoxedStrategy<&'static str>, value: BoxedStrategy<Value>| {
        (pointer, op, value).prop_map(|(pointer, op, value)| json!({"pointer": pointer, "op": op, "value": value}))
    };
    let of = |ops: &'static [&'static str]| prop::sample::select(ops).boxed();
    let bound = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (-9.0..9.0).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    let leaf = prop_oneof![
        comparison(of(&["eq", "ne"]), any_json().boxed()),
        comparison(of(&["in"]), prop::collection::vec(any_json(), 1..3).prop_map(Value::from).boxed()),
        comparison(of(&["prefix"]), "[a-c]{0,2}".prop_map(Value::from).boxed()),
        comparison(of(&["exists"]), any::<bool>().prop_map(Value::from).boxed()),
        comparison(of(&["gt", "gte", "lt", "lte"]), bound.boxed()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"all": list})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"any": list})),
            inner.prop_map(|one| json!({"not": one})),
        ]
    })
}

proptest! {
    #[test]
    fn any_filter_comes_back_and_judges_any_data(json in any_filter(), data in any_json()) {
        let filter = Filter::parse(&json).expect("generated within the bounds");
        let text = serde_json::to_string(&filter).expect("plain JSON");
        prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), json.clone());
        prop_assert_eq!(&serde_json::from_str::<Filter>(&text).expect("a filter"), &filter);

        let verdict = filter.matches_value(&data);
        prop_assert_eq!(filter.matches(data.to_string().as_bytes()), verdict);
        let inverted = Filter::parse(&json!({"not": json})).expect("one deeper is within the bounds");
        prop_assert_eq!(inverted.matches_value(&data), !verdict);
    }

    #[test]
    fn no_json_upsets_the_reader(json in any_json(), op in "eq|in|gt|exists|x", pointer in "[a/~0-2]{0,5}") {
        let comparison = json!({"pointer": pointer, "op": op, "value": json.clone()});
        for json in [json!({"all": [json.clone()]}), json, comparison] {
            if let Ok(filter) = Filter::parse(&json) {
                prop_assert_eq!(Filter::parse(&serde_json::to_value(&filter).expect("plain JSON")), Ok(filter));
            }
        }
    }
}
