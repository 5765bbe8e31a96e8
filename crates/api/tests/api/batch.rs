//! Batches of events.

use serde_json::{Value, json};

use crate::support::{Api, Call};

#[tokio::test]
async fn each_event_of_a_batch_stands_for_itself() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let mut events = api.events().await;
    let batch = json!({"events": [
        {"type": "customer.created", "data": {"n": 0}},
        {"type": "user.created", "data": {}},
        {"type": "customer.created", "data": {"n": 2}, "extra": true},
        {"type": "customer.created"},
        {"type": "customer.created", "data": "x".repeat(65_536)},
        {"type": "customer.created", "data": {}, "tenant": "other"},
        7,
        {"type": "customer.created", "data": {"n": 7}, "tenant": "acme", "idempotency_key": "k"},
        {"type": "customer.created", "data": {"n": 8}, "idempotency_key": "k"},
        {"type": "customer.created", "data": {"n": 7}, "idempotency_key": "k"},
        {"type": "customer.created", "data": {}, "idempotency_key": ""},
    ]});
    let answer = api.send(Call::post("/v1/events/batch").key(&key).json(&batch)).await.expect(202);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 422, 422, 422, 413, 403, 422, 202, 409, 202, 422]);
    let pointer = |place: usize| results[place]["error"]["errors"][0]["pointer"].as_str().unwrap();
    assert_eq!([pointer(1), pointer(2), pointer(3), pointer(10)], ["/type", "/extra", "/data", "/idempotency_key"]);
    assert_eq!(results[7]["id"], results[9]["id"], "the same content under the same key");
    let accepted: Vec<&Value> = [0, 7, 9].map(|place: usize| &results[place]["id"]).to_vec();
    for id in accepted {
        assert_eq!(*id, events.next().await.event_id().to_string());
    }
}

#[tokio::test]
async fn a_batch_has_1_to_1000_events() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let send = |count: usize| {
        let events = vec![json!({"type": "user.created", "data": 1}); count];
        api.send(Call::post("/v1/events/batch").key(&key).json(&json!({"events": events})))
    };
    send(0).await.problem(422);
    send(1_001).await.problem(422);
    let results = send(1_000).await.expect(202);
    assert_eq!(results["results"].as_array().unwrap().len(), 1_000);
}

#[tokio::test]
async fn a_key_for_the_whole_batch_is_refused() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let batch = json!({"events": [{"type": "user.created", "data": 1}]});
    let call = Call::post("/v1/events/batch").key(&key).with("idempotency-key", "k").json(&batch);
    let problem = api.send(call).await.problem(400);
    assert!(problem["detail"].as_str().unwrap().contains("idempotency_key"));
}
