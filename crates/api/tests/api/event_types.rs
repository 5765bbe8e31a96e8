//! Event types: the contract's catalogue, the tenant's words, and schemas at intake.

use serde_json::{Value, json};

use crate::support::{Answer, Api, Call};

const ORDER: &str = "/v1/event-types/order.created";

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string"}, "total": {"type": "number", "minimum": 0}},
    })
}

async fn put(api: &Api, key: &str, path: &str, body: Value) -> Answer {
    api.send(Call::new("PUT", path).key(key).json(&body)).await
}

async fn publish(api: &Api, key: &str, data: Value) -> Answer {
    api.send(Call::post("/v1/events").key(key).json(&json!({"type": "order.created", "data": data}))).await
}

#[tokio::test]
async fn the_catalogue_is_the_contracts() {
    let api = Api::start().await;
    for (contract, types, closed) in
        [("bitbybit", 10, true), ("eightbit", 16, true), ("generic", 9, false), ("standard", 0, false)]
    {
        let key = api.tenant(contract, contract).await;
        let list = api.send(Call::get("/v1/event-types").key(&key)).await.expect(200);
        assert_eq!(list["event_types"].as_array().unwrap().len(), types, "{contract}");
        assert_eq!(list["closed"], closed, "{contract}");
    }
}

#[tokio::test]
async fn what_the_tenant_says_comes_on_top_and_can_be_forgotten() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let contracts = api.send(Call::get("/v1/event-types").key(&key)).await.expect(200);
    let user = "/v1/event-types/user.created";
    put(&api, &key, user, json!({"description": "Our own words"})).await.expect(200);
    let made = put(&api, &key, ORDER, json!({"schema": schema()})).await.expect(200);
    assert_eq!(made["schema"], schema());
    assert_eq!(made["updated_at"], "2026-01-15T12:00:00Z");
    let one = api.send(Call::get(ORDER).key(&key)).await.expect(200);
    assert_eq!(one, made);

    let list = api.send(Call::get("/v1/event-types").key(&key)).await.expect(200);
    let types = list["event_types"].as_array().unwrap();
    assert_eq!(types.len(), 10);
    let of = |name: &str| types.iter().find(|entry| entry["type"] == name).unwrap().clone();
    assert_eq!(
        of("user.created"),
        json!({"type": "user.created", "description": "Our own words", "has_schema": false})
    );
    assert_eq!(types[9], json!({"type": "order.created", "description": null, "has_schema": true}));

    for path in [user, ORDER] {
        assert_eq!(api.send(Call::new("DELETE", path).key(&key)).await.status, 204);
        api.send(Call::new("DELETE", path).key(&key)).await.problem(404);
    }
    api.send(Call::get(ORDER).key(&key)).await.problem(404);
    assert_eq!(api.send(Call::get("/v1/event-types").key(&key)).await.expect(200), contracts);
}

#[tokio::test]
async fn types_that_cannot_be_published_cannot_be_described() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let unknown = put(&api, &key, "/v1/event-types/user.created", json!({})).await.problem(422);
    assert_eq!(unknown["type"], "urn:whimbrel:problem:unknown_type");
    for name in ["webhook.test", "endpoint.suspended", "delivery.exhausted"] {
        let reserved = put(&api, &key, &format!("/v1/event-types/{name}"), json!({})).await.problem(422);
        assert_eq!(reserved["type"], "urn:whimbrel:problem:reserved_type");
    }
    put(&api, &key, "/v1/event-types/customer.created", json!({"schema": true})).await.expect(200);
}

#[tokio::test]
async fn a_schema_that_will_not_do_is_refused_with_its_place() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let cases = [
        (json!({"type": "text"}), "/schema/type"),
        (json!({"properties": {"a": {"$ref": "https://example.com/schema.json"}}}), "/schema/properties/a/$ref"),
        (json!([1]), "/schema"),
        (json!({"description": "x".repeat(70_000)}), "/schema"),
    ];
    for (schema, pointer) in cases {
        let problem = put(&api, &key, ORDER, json!({"schema": schema})).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let problem = put(&api, &key, ORDER, json!({"description": "x".repeat(1_025)})).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/description");
    let problem = put(&api, &key, ORDER, json!({"schemata": {}})).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/schemata");
    api.send(Call::get(ORDER).key(&key)).await.problem(404);
}

#[tokio::test]
async fn data_that_does_not_meet_its_schema_is_refused_with_the_place() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let other = api.tenant("other", "generic").await;
    let mut events = api.events().await;
    publish(&api, &key, json!(7)).await.expect(202);
    events.next().await;
    put(&api, &key, ORDER, json!({"schema": schema()})).await.expect(200);

    for (data, pointer) in [(json!({"id": 7}), "/data/id"), (json!({}), "/data"), (json!(7), "/data")] {
        let problem = publish(&api, &key, data.clone()).await.problem(422);
        assert_eq!(problem["type"], "urn:whimbrel:problem:schema");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        let cloud = json!({"specversion": "1.0", "id": "1", "source": "/x", "type": "order.created", "data": data});
        let call = Call::post("/v1/events").key(&key).raw("application/cloudevents+json", &cloud.to_string());
        assert_eq!(api.send(call).await.problem(422)["errors"][0]["pointer"], pointer);
    }
    let batch = json!({"events": [
        {"type": "order.created", "data": {"id": "a", "total": -1}},
        {"type": "order.created", "data": {"id": "a", "total": 1}},
        {"type": "order.deleted", "data": 7},
    ]});
    let results = api.send(Call::post("/v1/events/batch").key(&key).json(&batch)).await.expect(202);
    let statuses = [0, 1, 2].map(|place: usize| results["results"][place]["status"].as_u64().unwrap());
    assert_eq!(statuses, [422, 202, 202]);
    assert_eq!(results["results"][0]["error"]["errors"][0]["pointer"], "/data/total");
    let sent = publish(&api, &other, json!(7)).await.expect(202);
    for expected in [&results["results"][1]["id"], &results["results"][2]["id"], &sent["id"]] {
        assert_eq!(*expected, events.next().await.event_id().to_string(), "nothing else was queued");
    }
}

#[tokio::test]
async fn a_changed_or_forgotten_schema_holds_from_the_next_event_on() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    for (body, status) in [
        (json!({"schema": {"type": "string"}}), 422),
        (json!({"schema": {"type": "integer"}}), 202),
        (json!({"schema": false}), 422),
        (json!({"schema": null}), 202),
    ] {
        put(&api, &key, ORDER, body.clone()).await.expect(200);
        assert_eq!(publish(&api, &key, json!(7)).await.status, status, "{body}");
    }
    put(&api, &key, ORDER, json!({"schema": false})).await.expect(200);
    publish(&api, &key, json!(7)).await.problem(422);
    assert_eq!(api.send(Call::new("DELETE", ORDER).key(&key)).await.status, 204);
    publish(&api, &key, json!(7)).await.expect(202);
}
