//! What could not be processed: shown, brought back, thrown away.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use whimbrel_api::ApiState;
use whimbrel_core::id::PackId;
use whimbrel_core::parking::Origin;
use whimbrel_core::port::{Clock as _, Look, Message, Parking, ParkingError, Route, Source, Walk};

use crate::support::{ADMIN, Answer, Api, Call};

async fn park(api: &Api, source: Source, reason: &str, payload: &'static [u8]) {
    let headers = [("tenant".to_owned(), "acme".to_owned())];
    let origin = Origin::new("order-7", "order.created", None, "", &headers);
    let message = Message {
        route: Route::Parking { source, origin, reason: reason.to_owned() },
        id: PackId::generate(api.clock.now(), api.clock.random10()),
        content_type: "application/json".to_owned(),
        payload: Bytes::from_static(payload),
    };
    api.queue.publisher().publish(vec![message]).await.unwrap();
}

async fn listed(api: &Api, query: &str) -> Value {
    api.send(Call::get(&format!("/v1/parking{query}")).key(ADMIN)).await.expect(200)
}

#[tokio::test]
async fn a_parked_message_is_listed_and_shown() {
    let api = Api::start().await;
    park(&api, Source::Events, "unknown_tenant: there is no tenant `acme`", b"{\"n\":1}").await;
    park(&api, Source::Outcomes, "malformed: no", b"\xff\x00").await;
    let page = listed(&api, "").await;
    let first = &page["messages"][0];
    assert_eq!(
        (&first["source"], &first["size"], &first["preview"]),
        (&json!("events"), &json!(7), &json!("{\"n\":1}"))
    );
    assert_eq!(first["reason"], "unknown_tenant: there is no tenant `acme`");
    assert_eq!((&first["message_id"], &first["message_type"]), (&json!("order-7"), &json!("order.created")));
    assert_eq!(first["parked_at"], "2026-01-15T12:00:00Z");
    assert_eq!(page["messages"][1]["preview"], Value::Null);
    assert_eq!(page["more"], false);
    let by_reason = listed(&api, "?reason=malformed").await;
    assert_eq!(by_reason["messages"].as_array().unwrap().len(), 1);
    assert_eq!(listed(&api, "?source=events&limit=1").await["messages"][0]["id"], first["id"]);
    assert_eq!(listed(&api, "?limit=1").await["more"], true);

    let show = async |of: &Value| {
        api.send(Call::get(&format!("/v1/parking/{}", of["id"].as_str().unwrap())).key(ADMIN)).await.expect(200)
    };
    let shown = show(first).await;
    assert_eq!(
        (&shown["text"], &shown["base64"], &shown["headers"]),
        (&json!("{\"n\":1}"), &Value::Null, &json!({"tenant": "acme"}))
    );
    assert_eq!(show(&page["messages"][1]).await["base64"], "/wA=");
}

#[tokio::test]
async fn an_event_is_brought_back_to_ingest() {
    let api = Api::start().await;
    park(&api, Source::Events, "unknown_tenant: acme", b"{}").await;
    park(&api, Source::Events, "not_json: no", b"{").await;
    let redrive = |body: Value| Call::post("/v1/parking/redrive").key(ADMIN).json(&body);
    let answer = api.send(redrive(json!({"reason": "unknown_tenant"}))).await.expect(200);
    assert_eq!(answer, json!({"redriven": 1, "stuck": 0, "more": false}));
    let mut consumer = api.queue.consume(Source::Events, 10).await.unwrap();
    let event = consumer.receive(1).await.unwrap().remove(0);
    assert_eq!(
        (event.message_id.as_str(), event.kind.as_str(), &event.payload[..]),
        ("order-7", "order.created", &b"{}"[..])
    );
    let answer = api.send(redrive(json!({"all": true}))).await.expect(200);
    assert_eq!(answer["redriven"], 1);
    assert_eq!(listed(&api, "").await["messages"], json!([]));
}

#[tokio::test]
async fn what_is_thrown_away_is_gone() {
    let api = Api::start().await;
    park(&api, Source::Outcomes, "malformed: no", b"?").await;
    let page = listed(&api, "").await;
    let path = format!("/v1/parking/{}", page["messages"][0]["id"].as_str().unwrap());
    assert_eq!(api.send(Call::new("DELETE", &path).key(ADMIN)).await.status, 204);
    api.send(Call::new("DELETE", &path).key(ADMIN)).await.problem(404);
    api.send(Call::get(&path).key(ADMIN)).await.problem(404);
}

#[tokio::test]
async fn what_is_meant_has_to_be_said() {
    let api = Api::start().await;
    let both = json!({"all": true, "reason": "malformed"});
    for body in [json!({}), both, json!({"ids": ["prk_no"]}), json!({"source": "nowhere"})] {
        api.send(Call::post("/v1/parking/redrive").key(ADMIN).json(&body)).await.problem(422);
    }
    for query in ["?limit=0", "?limit=101", "?source=nowhere", "?cursor=x"] {
        api.send(Call::get(&format!("/v1/parking{query}")).key(ADMIN)).await.problem(400);
    }
}

/// A broker that does not let us in there.
struct Denying;

#[async_trait]
impl Parking for Denying {
    async fn walk(&self, _: Look<'_>) -> Result<Walk, ParkingError> {
        Err(ParkingError::Denied("broker:5672/hooks denies user `api` queue whimbrel.parking.v1".to_owned()))
    }
}

#[tokio::test]
async fn rule_24_a_process_without_the_right_says_so() {
    let api = Api::start().await;
    let router = whimbrel_api::router(ApiState { parking: Arc::new(Denying), ..api.state.clone() });
    let answer = Answer::of(router, Call::get("/v1/parking").key(ADMIN)).await;
    let problem = answer.problem(403);
    assert_eq!(problem["type"], "urn:whimbrel:problem:not_permitted");
    assert!(problem["detail"].as_str().unwrap().contains("amqp.redrive_url"), "{problem}");
}
