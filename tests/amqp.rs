//! Upstream intake over AMQP: three content types, and what cannot be accepted is parked with a reason.

use anyhow::Result;
use serde_json::{Value, json};
use whimbrel_core::message::{PROTOBUF, PROTOBUF_EVENTS, encode_events};
use whimbrel_testkit::rabbitmq::Vhost;
use whimbrel_testkit::receiver::Receiver;

use crate::harness::{Kind, SOON, System};

const PARKING: &str = "whimbrel.parking.v1";

async fn publish(vhost: &Vhost, properties: &Value, body: &[u8]) -> Result<()> {
    vhost.publish("whimbrel.events", "upstream", properties, body).await
}

fn plain(id: &str, tenant: &str, event_type: &str) -> Value {
    json!({"content_type": "application/json", "message_id": id, "type": event_type, "headers": {"tenant": tenant}})
}

/// An order as `whimbrel.v1.Event`.
fn protobuf(tenant: &str, key: &str, data: &str) -> bytes::Bytes {
    let event = whimbrel_core::message::v1::Event {
        tenant: tenant.into(),
        r#type: "order.created".into(),
        data: data.to_owned().into(),
        idempotency_key: key.into(),
        ..Default::default()
    };
    prost::Message::encode_to_vec(&event).into()
}

/// JSON with properties, CloudEvents and protobuf arrive; the first two twice, as one event each (rule 6).
#[tokio::test(flavor = "multi_thread")]
async fn three_content_types_are_delivered() -> Result<()> {
    let receiver = Receiver::start().await?;
    let system = System::start(Kind::Distributed).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let vhost = system.servers.vhost();
    let cloud = br#"{"specversion":"1.0","id":"c1","source":"/shop","type":"order.created","tenant":"default","data":{"cloud":1.0}}"#;
    for _ in 0..2 {
        publish(vhost, &plain("p1", "default", "order.created"), br#"{"plain": 1.0}"#).await?;
        publish(vhost, &json!({"content_type": "application/cloudevents+json"}), cloud).await?;
    }
    let body = protobuf("default", "b1", r#"{"proto":  1}"#);
    publish(vhost, &json!({"content_type": "application/x-protobuf"}), &body).await?;
    let requests = receiver.wait_for(3, SOON).await?;
    let marker = system.api.publish("order.created", "{}").await?;
    system.api.settled(&marker, "success").await?;
    assert_eq!(receiver.count(), 4, "three events and the marker");
    let bodies: Vec<String> =
        requests.iter().map(|request| String::from_utf8_lossy(&request.body).into_owned()).collect();
    for data in [r#""data":{"plain": 1.0}}"#, r#""data":{"cloud":1.0}}"#, r#""data":{"proto":  1}}"#] {
        assert!(bodies.iter().any(|body| body.ends_with(data)), "{data} in {bodies:?}");
    }
    Ok(())
}

/// The events of a pack are taken one by one: the one at fault is parked alone, and a pack that is none as it came.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_is_taken_event_by_event() -> Result<()> {
    let receiver = Receiver::start().await?;
    let system = System::start(Kind::Distributed).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let vhost = system.servers.vhost();
    let event = |tenant, key| protobuf(tenant, key, &format!(r#"{{"key":"{key}"}}"#));
    let at_fault = event("nobody", "2");
    let pack =
        encode_events(vec![event("default", "1"), at_fault.clone(), event("default", "3"), event("default", "1")]);
    let as_pack = json!({"content_type": PROTOBUF_EVENTS, "message_id": "pack-1"});
    publish(vhost, &as_pack, &pack).await?;
    publish(vhost, &as_pack, b"\xff\xff\xff").await?;
    let parked = vhost.wait_for_messages(PARKING, 2, SOON).await?;
    let marker = system.api.publish("order.created", r#"{"key":"marker"}"#).await?;
    system.api.settled(&marker, "success").await?;
    // The marker may overtake the others.
    let mut keys: Vec<String> = receiver
        .wait_for(3, SOON)
        .await?
        .iter()
        .filter_map(|request| request.json()["data"]["key"].as_str().map(str::to_owned))
        .collect();
    keys.sort();
    assert_eq!(keys, ["1", "3", "marker"], "a key that comes twice in a pack is one event");
    let alone = parked.iter().find(|message| message.payload.as_bytes() == at_fault).expect("as it was in the pack");
    assert_eq!(alone.properties["content_type"], PROTOBUF);
    assert!(alone.properties["headers"].to_string().contains("unknown_tenant"), "{:?}", alone.properties);
    let whole = parked.iter().find(|message| message.payload.as_bytes() != at_fault).expect("the other");
    assert_eq!(whole.properties["content_type"], PROTOBUF_EVENTS);
    assert!(whole.properties["headers"].to_string().contains("malformed"), "{:?}", whole.properties);
    Ok(())
}

/// Bad input is parked with its reason; good input around it is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_accepted_is_parked_with_a_reason() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut system = System::start(Kind::Distributed).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let bits = system.api.create_tenant("bits", "bitbybit").await?;
    bits.create_webhook(&receiver.url("/bits"), &["*"]).await?;
    let vhost = system.servers.vhost();
    let oversize = format!("\"{}\"", "x".repeat(70_000));
    let base64 = br#"{"specversion":"1.0","id":"c","source":"s","type":"order.created","tenant":"default","data_base64":"AA=="}"#;
    let cases: [(Value, &[u8], &str); 9] = [
        (plain("1", "default", "order.created"), b"{\"a\":", "not_json"),
        (plain("2", "nobody", "order.created"), b"{}", "unknown_tenant"),
        (plain("3", "bits", "no.such.type"), b"{}", "unknown_type"),
        (plain("4", "bits", "order.created"), oversize.as_bytes(), "oversize"),
        (plain("5", "default", "endpoint.suspended"), b"{}", "reserved_type"),
        (
            json!({"content_type": "application/json", "type": "order.created", "headers": {"tenant": "default"}}),
            b"{}",
            "missing_id",
        ),
        (json!({"content_type": "text/plain", "message_id": "7"}), b"{}", "bad_content_type"),
        (json!({"content_type": "application/cloudevents+json"}), base64, "bad_cloud_event"),
        (json!({"content_type": "application/x-protobuf"}), b"\xff\xff\xff", "malformed"),
    ];
    for (properties, body, _) in &cases {
        publish(vhost, properties, body).await?;
    }
    publish(vhost, &plain("ok", "default", "order.created"), b"{\"fine\":true}").await?;
    publish(vhost, &plain("ok", "default", "order.created"), b"{\"fine\":false}").await?;
    receiver.wait_for(1, SOON).await?;
    let messages = vhost.wait_for_messages(PARKING, cases.len() + 1, SOON).await?;
    let headers: Vec<String> = messages.iter().map(|message| message.properties["headers"].to_string()).collect();
    for reason in cases.iter().map(|(_, _, reason)| *reason).chain(["conflict"]) {
        assert!(headers.iter().any(|header| header.contains(reason)), "{reason} in {headers:?}");
    }
    assert_eq!(receiver.count(), 1);
    // The tracker looks through parking meanwhile, which is nothing to be logged as an error.
    system.role("tracker").wait_for_line("connected to the broker for parking", SOON).await?;
    for mut process in std::mem::take(&mut system.processes) {
        process.terminate(SOON).await?;
        let errors: Vec<String> = process.lines().into_iter().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    Ok(())
}
