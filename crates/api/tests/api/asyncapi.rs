//! `proto/asyncapi.yaml` says what the code does: its exchanges are the topology's, its examples are accepted.

use data_encoding::BASE64;
use serde_json::{Value, json};
use whimbrel_core::contract::ContractSet;
use whimbrel_core::intake::{
    CLOUD_EVENTS_JSON, CloudEvent, IdempotencyKey, Window, event_type, trace_context, validate,
};
use whimbrel_core::message::{PACK_EVENTS_MAX, PROTOBUF, PROTOBUF_EVENTS, decode, v1};
use whimbrel_core::{EndpointId, EventId, TenantId, Timestamp};

const ASYNCAPI: &str = include_str!("../../../../proto/asyncapi.yaml");
const DEFINITIONS: &str = include_str!("../../../../deploy/rabbitmq/definitions.json");
const PROTO: &str = include_str!("../../../../proto/whimbrel/v1/queue.proto");

fn document() -> Value {
    yaml_serde::from_str(ASYNCAPI).unwrap()
}

/// The schema that stands there, with all that it refers to.
fn schema(document: &Value, pointer: &str) -> jsonschema::Validator {
    assert!(document.pointer(pointer).is_some(), "nothing stands at {pointer}");
    let schema = json!({"$ref": format!("#{pointer}"), "components": document["components"]});
    jsonschema::draft7::options().offline().build(&schema).unwrap()
}

fn examples<'a>(document: &'a Value, message: &str) -> &'a [Value] {
    let examples = document["components"]["messages"][message]["examples"].as_array().unwrap();
    assert!(!examples.is_empty());
    examples
}

#[track_caller]
fn accepted(kind: &str, data: &Value) {
    let contracts = ContractSet::built_in();
    let contract = contracts.get(&"standard".parse().unwrap()).unwrap();
    let now = Timestamp::from_secs(1_768_478_400);
    let window = Window { now, retention: std::time::Duration::from_hours(24) };
    let kind = event_type(kind).unwrap();
    validate(contract, EventId::generate(now, [1; 10]), &kind, &data.to_string().into(), now, window).unwrap();
}

/// Every `$ref` in a value.
fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn it_is_asyncapi_3_and_refers_to_what_is_there() {
    let document = document();
    assert_eq!(document["asyncapi"], "3.0.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    for reference in references(&document) {
        if let Some(pointer) = reference.strip_prefix('#') {
            assert!(document.pointer(pointer).is_some(), "{reference}");
        } else {
            let name = reference.strip_prefix("whimbrel/v1/queue.proto#").expect("the only other file");
            assert!(PROTO.contains(&format!("message {name} {{")), "{reference}");
        }
    }
}

#[test]
fn its_exchanges_are_those_of_the_topology() {
    let definitions: Value = serde_json::from_str(DEFINITIONS).unwrap();
    let declared = definitions["exchanges"].as_array().unwrap();
    let document = document();
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(channels.len(), 2);
    for (channel, expected) in [("events", "whimbrel.events"), ("notices", "whimbrel.notices")] {
        let exchange = &channels[channel]["bindings"]["amqp"]["exchange"];
        assert_eq!(exchange["name"], expected);
        let found = declared.iter().find(|declared| declared["name"] == expected).expect("the topology has it");
        assert_eq!((&exchange["type"], &exchange["durable"]), (&found["type"], &found["durable"]));
        assert_eq!((&exchange["autoDelete"], &exchange["vhost"]), (&found["auto_delete"], &found["vhost"]));
    }
}

#[test]
fn its_content_types_are_those_that_are_read() {
    let document = document();
    let content_type = |message: &str| document["components"]["messages"][message]["contentType"].clone();
    assert_eq!(content_type("DataEvent"), "application/json");
    assert_eq!(content_type("CloudEvent"), CLOUD_EVENTS_JSON);
    assert_eq!([content_type("ProtobufEvent"), content_type("Notice")], [PROTOBUF, PROTOBUF]);
    assert_eq!(content_type("ProtobufEvents"), PROTOBUF_EVENTS);
}

#[test]
fn examples_of_plain_events_meet_their_schemas_and_are_read() {
    let document = document();
    let part = |name: &str| schema(&document, &format!("/components/schemas/{name}"));
    let (headers, properties, data) = (part("Headers"), part("Properties"), part("Data"));
    for example in examples(&document, "DataEvent") {
        let of = &example["x-amqp-properties"];
        headers.validate(&example["headers"]).unwrap();
        properties.validate(of).unwrap();
        data.validate(&example["payload"]).unwrap();
        TenantId::try_new(example["headers"]["tenant"].as_str().unwrap()).unwrap();
        IdempotencyKey::plain(of["message_id"].as_str().unwrap()).unwrap();
        if let Some(trace) = example["headers"]["traceparent"].as_str() {
            assert_eq!(trace_context(trace, "").traceparent, trace);
        }
        accepted(of["type"].as_str().unwrap(), &example["payload"]);
    }
    for wrong in [json!({}), json!({"tenant": "No Such"})] {
        assert!(headers.validate(&wrong).is_err(), "{wrong}");
    }
    assert!(
        properties.validate(&json!({"content_type": "application/json", "type": "a b", "message_id": "1"})).is_err()
    );
}

#[test]
fn examples_of_cloud_events_meet_their_schema_and_are_read() {
    let document = document();
    let cloud = schema(&document, "/components/schemas/CloudEvent");
    for example in examples(&document, "CloudEvent") {
        cloud.validate(&example["payload"]).unwrap();
        let event = CloudEvent::parse(example["payload"].to_string().as_bytes()).unwrap();
        assert!(event.tenant.is_some() && event.key.is_some() && event.occurred_at.is_some());
        accepted(event.event_type.as_str(), &example["payload"]["data"]);
        for required in ["specversion", "id", "source", "type", "data"] {
            let mut without = example["payload"].clone();
            without.as_object_mut().unwrap().remove(required);
            assert!(cloud.validate(&without).is_err(), "{required}");
            assert!(CloudEvent::parse(without.to_string().as_bytes()).is_err(), "{required}");
        }
    }
}

#[test]
fn examples_in_protobuf_are_read() {
    let document = document();
    let payload = |example: &Value| BASE64.decode(example["payload"].as_str().unwrap().as_bytes()).unwrap();
    let single = examples(&document, "ProtobufEvent").iter().map(|example| payload(example).into());
    let packs: Vec<v1::Events> = examples(&document, "ProtobufEvents")
        .iter()
        .map(|pack| decode("Events", payload(pack).into()).unwrap())
        .collect();
    assert!(packs.iter().all(|pack| (2..=PACK_EVENTS_MAX).contains(&pack.events.len())));
    for event in single.chain(packs.into_iter().flat_map(|pack| pack.events)) {
        let event: v1::Event = decode("Event", event).unwrap();
        TenantId::try_new(&event.tenant).unwrap();
        IdempotencyKey::plain(&event.idempotency_key).unwrap();
        assert!(event.id.is_empty() && event.only_endpoint.is_empty() && event.except_endpoint.is_empty());
        accepted(&event.r#type, &serde_json::from_slice(&event.data).unwrap());
    }
    let kinds = document["channels"]["notices"]["parameters"]["kind"]["enum"].as_array().unwrap();
    for example in examples(&document, "Notice") {
        let notice: v1::Notice = decode("Notice", payload(example).into()).unwrap();
        assert!(kinds.iter().any(|kind| *kind == notice.kind), "{}", notice.kind);
        EndpointId::from_slice(&notice.endpoint_id).unwrap();
    }
}
