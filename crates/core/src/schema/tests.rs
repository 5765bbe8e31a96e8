//! What schemas are accepted, and what they say of data.

#![expect(clippy::needless_pass_by_value, reason = "JSON literals read best as arguments")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn schema(source: Value) -> EventSchema {
    EventSchema::compile(&source).unwrap_or_else(|error| panic!("{source}: {error} at {}", error.pointer))
}

fn refused(source: Value) -> (String, String) {
    let error = EventSchema::compile(&source).expect_err(&source.to_string());
    (error.pointer, error.message)
}

fn rejected(source: Value, data: &str) -> Rejection {
    schema(source).validate(data.as_bytes()).expect_err(data)
}

fn order() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "pattern": "^ord_[0-9]+$"},
            "total": {"type": "number", "minimum": 0},
            "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
            "a/b~c": {"type": "boolean"}
        },
        "additionalProperties": false,
        "$defs": {"item": {"type": "object", "properties": {"count": {"type": "integer", "exclusiveMinimum": 0}}}}
    })
}

#[test]
fn data_that_meets_the_schema_passes() {
    let order = schema(order());
    for data in [
        r#"{"id":"ord_1"}"#,
        r#" { "id" : "ord_12", "total": 1.5, "items": [{"count": 1}, {"count": 2.0, "note": null}], "a/b~c": true } "#,
    ] {
        assert_eq!(order.validate(data.as_bytes()), Ok(()), "{data}");
    }
    assert_eq!(schema(json!(true)).validate(b"[1]"), Ok(()));
    assert_eq!(schema(json!({})).validate(b"null"), Ok(()));
    assert_eq!(rejected(json!(false), "null").pointer, "/data");
}

#[test]
fn a_rejection_names_the_reason_and_the_exact_place() {
    for (data, pointer) in [
        ("[]", "/data"),
        (r#"{"total":1}"#, "/data"),
        (r#"{"id":"ord_1","extra":1}"#, "/data"),
        (r#"{"id":"x"}"#, "/data/id"),
        (r#"{"id":"ord_1","total":-0.5}"#, "/data/total"),
        (r#"{"id":"ord_1","items":[{"count":1},{"count":0}]}"#, "/data/items/1/count"),
        (r#"{"id":"ord_1","a/b~c":1}"#, "/data/a~1b~0c"),
        ("{", "/data"),
        (r#"{"id":"ord_1","total":1e400}"#, "/data"),
    ] {
        let rejection = rejected(order(), data);
        assert_eq!((rejection.reason, &*rejection.pointer), ("schema", pointer), "{data}: {rejection}");
    }
}

#[test]
fn a_rejection_speaks_of_the_schema_and_never_quotes_the_data() {
    let rejection = rejected(json!({"type": "integer"}), r#""4111 1111 1111 1111""#);
    let words = r#"the data does not meet its event type's schema: the value is not of type "integer""#;
    assert_eq!(rejection.message, words);
    let names: Vec<_> = (0..500).map(|n| format!("name-{n}")).collect();
    let rejection = rejected(json!({"enum": names}), "1");
    assert!(rejection.message.chars().count() < 400, "{}", rejection.message);
    let rejection = rejected(json!({"const": "é".repeat(1000)}), "1");
    assert!(rejection.message.ends_with("é…") && rejection.message.chars().count() < 400);
}

#[test]
fn formats_and_contents_annotate_only() {
    let mail = schema(json!({"type": "string", "format": "email"}));
    assert_eq!(mail.validate(b"\"no address\""), Ok(()));
    let content = schema(json!({"contentMediaType": "application/json", "contentEncoding": "base64"}));
    assert_eq!(content.validate(b"\"{\""), Ok(()));
}

#[test]
fn what_is_no_2020_12_schema_is_refused_at_its_place() {
    for (source, pointer) in [
        (json!(1), ""),
        (json!([]), ""),
        (json!({"type": "words"}), "/type"),
        (json!({"properties": {"a": {"minLength": -1}}}), "/properties/a/minLength"),
        (json!({"properties": {"a": 1}}), "/properties/a"),
        (json!({"items": [{"type": "string"}]}), "/items"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema"),
        (json!({"$schema": "https://example.com/own"}), "/$schema"),
        (json!({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}), "/$defs/a/$schema"),
        (json!({"$schema": 1}), "/$schema"),
        (json!({"$id": "http://["}), "/$id"),
    ] {
        assert_eq!(refused(source.clone()).0, pointer, "{source}");
    }
    schema(json!({"$schema": "https://json-schema.org/draft/2020-12/schema#"}));
}

#[test]
fn references_outside_the_schema_are_refused() {
    for (source, pointer) in [
        (json!({"$ref": "https://example.com/order.json"}), "/$ref"),
        (json!({"$ref": "http://127.0.0.1:9/x#/$defs/a"}), "/$ref"),
        (json!({"$ref": "file:///etc/passwd"}), "/$ref"),
        (json!({"$ref": "other.json"}), "/$ref"),
        (json!({"$ref": "urn:example:other"}), "/$ref"),
        (json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), "/$ref"),
        (json!({"$dynamicRef": "https://example.com/x#meta"}), "/$dynamicRef"),
        (json!({"allOf": [true, {"items": {"$ref": "other.json"}}]}), "/allOf/1/items/$ref"),
        (json!({"properties": {"a/b": {"not": {"$ref": "other.json"}}}}), "/properties/a~1b/not/$ref"),
        (json!({"$id": "https://example.com/a", "$ref": "b"}), "/$ref"),
        (json!({"$id": "urn:example:a", "$ref": "b"}), "/$ref"),
    ] {
        let (place, message) = refused(source.clone());
        assert_eq!(place, pointer, "{source}");
        assert!(message.contains("outside the schema"), "{message}");
    }
}

#[test]
fn references_that_lead_to_no_schema_are_refused() {
    for source in [
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": "#none"}),
        json!({"$ref": "#/x", "x": {"$ref": "https://example.com/a"}}),
        json!({"$ref": "#/properties", "properties": {}}),
        json!({"$dynamicRef": "#none"}),
    ] {
        let (place, message) = refused(source.clone());
        assert!(place.ends_with("ef") && message.contains("leads to no schema"), "{source}: {message}");
    }
}

#[test]
fn references_within_the_schema_hold() {
    for source in [
        json!({"$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}),
        json!({"$ref": "#n", "$defs": {"n": {"$anchor": "n", "type": "number"}}}),
        json!({"$ref": "n", "$defs": {"n": {"$id": "n", "type": "number"}}}),
        json!({"$dynamicRef": "#n", "$defs": {"n": {"$dynamicAnchor": "n", "type": "number"}}}),
        json!({"$id": "https://example.com/a", "$ref": "b#/$defs/n", "$defs": {
            "b": {"$id": "https://example.com/b", "$defs": {"n": {"type": "number"}}}
        }}),
        json!({"$id": "urn:example:a", "$ref": "urn:example:a#/$defs/n", "$defs": {"n": {"type": "number"}}}),
    ] {
        let number = schema(source.clone());
        assert!(number.validate(b"1").is_ok() && number.validate(b"\"1\"").is_err(), "{source}");
    }
    // A name and a value may look like a reference.
    schema(json!({"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "https://example.com"}}));
}

#[test]
fn trees_are_checked_to_the_leaves() {
    let tree = schema(json!({"type": "object", "additionalProperties": {"$ref": "#"}}));
    assert_eq!(tree.validate(br#"{"a":{"b":{}}}"#), Ok(()));
    assert_eq!(tree.validate(br#"{"a":{"b":1}}"#).expect_err("a leaf").pointer, "/data/a/b");
    let dynamic = schema(json!({"$dynamicAnchor": "n", "type": "array", "items": {"$dynamicRef": "#n"}}));
    assert_eq!(dynamic.validate(b"[[],[[1]]]").expect_err("a leaf").pointer, "/data/1/0/0");
}

#[test]
fn what_would_look_at_one_value_without_end_is_refused() {
    for (source, pointer) in [
        (json!({"$ref": "#"}), ""),
        (json!({"$id": "https://example.com/a", "$ref": "a"}), ""),
        (json!({"allOf": [{"not": {"$ref": "#"}}]}), ""),
        (json!({"$dynamicAnchor": "n", "anyOf": [{"$dynamicRef": "#n"}]}), ""),
        (json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"if": {"$ref": "#/$defs/a"}}}}), "/$defs/a"),
    ] {
        let (place, message) = refused(source.clone());
        assert_eq!(place, pointer, "{source}: {message}");
        assert!(message.contains("never end"), "{message}");
    }
}

#[test]
fn what_would_look_at_one_value_too_often_is_refused() {
    let chain = |steps: usize, step: fn(Value) -> Value| {
        let mut named: serde_json::Map<_, _> =
            (1..steps).map(|n| (n.to_string(), step(json!({"$ref": format!("#/$defs/{}", n + 1)})))).collect();
        named.insert(steps.to_string(), json!({"type": "object"}));
        json!({"$ref": "#/$defs/1", "$defs": named})
    };
    let twice = |next: Value| json!({"anyOf": [next, next]});
    schema(chain(10, twice));
    assert!(refused(chain(14, twice)).1.contains("more than 10000 schemas"));
    schema(chain(31, |next| next));
    assert!(refused(chain(32, |next| next)).1.contains("more than 32 schemas"));
}

/// The innermost of `depth` objects holds 1.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

#[test]
fn alternatives_that_recur_do_not_multiply_without_end() {
    let object = || json!({"additionalProperties": {"$ref": "#"}});
    let doubling = schema(json!({"type": "object", "anyOf": [object(), object()]}));
    assert_eq!(doubling.validate(nested(3).as_bytes()).expect_err("a leaf").pointer, "/data");
    let deep = doubling.validate(nested(100).as_bytes()).expect_err("a leaf");
    assert_eq!((deep.reason, &*deep.pointer), ("schema", "/data"));
    assert!(deep.message.contains("too many steps"), "{deep}");
    let good = nested(100).replace('1', "{}");
    assert_eq!(doubling.validate(good.as_bytes()), Ok(()));
}

#[test]
fn the_longest_chain_over_the_deepest_data_fits_the_stack() {
    let recurring = json!({"properties": {"a": {"$ref": "#"}}});
    let chain = (2..SCHEMA_DEPTH_MAX / 2 - 1).fold(recurring, |inner, _| json!({"allOf": [inner, true]}));
    let leaf = schema(json!({"type": "object", "allOf": [chain]}));
    let rejection = leaf.validate(nested(126).as_bytes()).expect_err("a leaf");
    assert_eq!(rejection.pointer, format!("/data{}", "/a".repeat(126)), "{rejection}");
}

#[test]
fn patterns_run_in_linear_time() {
    let source = json!({"pattern": "^(a+)+$"});
    let nearly = format!("\"{}!\"", "a".repeat(50_000));
    assert_eq!(rejected(source, &nearly).pointer, "/data");
    for (source, pointer) in [
        (json!({"pattern": "^(?=a)"}), "/pattern"),
        (json!({"properties": {"a": {"pattern": "(?<!a)b"}}}), "/properties/a/pattern"),
        (json!({"pattern": r"(a)\1"}), "/pattern"),
        (json!({"pattern": "("}), "/pattern"),
        (json!({"pattern": "((a{100}){100}){100}"}), "/pattern"),
        (json!({"patternProperties": {"^(?!x-)": {}}}), "/patternProperties/^(?!x-)"),
    ] {
        let (place, message) = refused(source.clone());
        assert_eq!(place, pointer, "{source}: {message}");
        assert!(message.contains("look-around"), "{message}");
    }
}

#[test]
fn the_bounds_hold_and_what_meets_them_is_accepted() {
    let around = json!({"title": ""}).to_string().len();
    let large = |bytes: usize| json!({"title": "x".repeat(bytes - around)});
    schema(large(SCHEMA_BYTES_MAX));
    assert!(refused(large(SCHEMA_BYTES_MAX + 1)).1.contains("65537"));
    let deep = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"not": inner}));
    schema(deep(SCHEMA_DEPTH_MAX));
    assert!(refused(deep(SCHEMA_DEPTH_MAX + 1)).1.contains("at most 32 deep"));
}

#[test]
fn a_schema_shows_and_equals_its_source() {
    let schema = schema(order());
    assert_eq!(schema.source(), &order());
    assert_eq!(schema, schema.clone());
    assert_eq!(format!("{:?}", EventSchema::compile(&json!(true)).expect("a schema")), "EventSchema(Bool(true))");
}

const KEYWORDS: [&str; 11] =
    ["$id", "$ref", "$anchor", "type", "properties", "items", "allOf", "pattern", "enum", "not", "$defs"];

fn keyword() -> impl Strategy<Value = String> {
    prop::sample::select(&KEYWORDS[..]).prop_map(str::to_owned)
}

fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a#/\\[(?:$]{0,4}".prop_map(Value::from),
        prop::sample::select(&["#", "object", "number", "#/$defs", "a"][..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(keyword(), inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_the_schema_and_the_data_errors_point_into_them(source in any_schema(), data in any_schema()) {
        match EventSchema::compile(&source) {
            Err(error) => prop_assert!(source.pointer(&error.pointer).is_some(), "{source}: {error:?}"),
            Ok(schema) => {
                if let Err(rejection) = schema.validate(data.to_string().as_bytes()) {
                    let event = json!({"data": data});
                    prop_assert!(event.pointer(&rejection.pointer).is_some(), "{source} {data}: {rejection:?}");
                }
            }
        }
    }
}
