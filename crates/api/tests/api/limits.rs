//! A tenant's own limits.

use serde_json::{Value, json};

use crate::support::{ADMIN, Answer, Api, Call};

async fn publish(api: &Api, key: &str) -> Answer {
    api.send(Call::post("/v1/events").key(key).json(&json!({"type": "user.created", "data": 1}))).await
}

async fn publish_batch(api: &Api, key: &str, count: usize) -> Answer {
    let events = vec![json!({"type": "user.created", "data": 1}); count];
    api.send(Call::post("/v1/events/batch").key(key).json(&json!({"events": events}))).await
}

#[track_caller]
fn refused(answer: &Answer, retry_after: &str) {
    assert_eq!(answer.problem(429)["type"], "urn:whimbrel:problem:rate_limited");
    assert_eq!(answer.header("retry-after"), retry_after);
}

#[tokio::test]
async fn limits_are_set_shown_as_they_hold_and_removed() {
    let api = Api::start().await;
    let body = json!({
        "id": "acme", "contract": "bitbybit",
        "limits": {"webhooks": 20, "events_per_second": 5, "payload_bytes": 1000},
    });
    let made = api.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.expect(201);
    let shown = json!({"webhooks": 10, "events_per_second": 5, "payload_bytes": 1000});
    assert_eq!(made["limits"], shown, "the contract's ten webhooks are fewer");
    let changed = api.patch_tenant("acme", json!({"limits": {"webhooks": 3, "payload_bytes": null}})).await;
    assert_eq!(changed["limits"], json!({"webhooks": 3, "events_per_second": 5, "payload_bytes": 65536}));
    assert_eq!(api.patch_tenant("acme", json!({"name": "Acme"})).await["limits"], changed["limits"]);
    let bare = json!({"webhooks": 10, "events_per_second": null, "payload_bytes": 65536});
    assert_eq!(api.patch_tenant("acme", json!({"limits": null})).await["limits"], bare);
    assert_eq!(api.send(Call::get("/v1/tenants/acme").key(ADMIN)).await.expect(200)["limits"], bare);
}

#[tokio::test]
async fn a_limit_is_at_least_one_and_a_payload_no_more_than_the_contracts() {
    let api = Api::start().await;
    api.tenant("acme", "bitbybit").await;
    let cases = [
        (json!({"webhooks": 0}), "/limits/webhooks"),
        (json!({"events_per_second": 0}), "/limits/events_per_second"),
        (json!({"payload_bytes": 0}), "/limits/payload_bytes"),
        (json!({"payload_bytes": 65537}), "/limits/payload_bytes"),
    ];
    for (limits, pointer) in cases {
        let patch = Call::new("PATCH", "/v1/tenants/acme").key(ADMIN).json(&json!({"limits": limits}));
        assert_eq!(api.send(patch).await.problem(422)["errors"][0]["pointer"], pointer);
        let body = json!({"id": "other", "contract": "bitbybit", "limits": limits});
        let problem = api.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn events_beyond_the_rate_are_429_until_the_time_that_is_told() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    api.patch_tenant("acme", json!({"limits": {"events_per_second": 2}})).await;
    publish(&api, &key).await.expect(202);
    publish(&api, &key).await.expect(202);
    refused(&publish(&api, &key).await, "1");
    refused(&publish_batch(&api, &key, 2).await, "1");
    api.clock.advance_ms(500);
    publish(&api, &key).await.expect(202);
    refused(&publish(&api, &key).await, "1");
    api.clock.advance_ms(1_000);
    publish_batch(&api, &key, 10).await.expect(202);
    refused(&publish(&api, &key).await, "5");
    refused(&publish_batch(&api, &key, 10).await, "5");
    api.clock.advance_ms(5_000);
    publish_batch(&api, &key, 10).await.expect(202);
}

#[tokio::test]
async fn the_rate_is_each_keys_own_and_of_no_limit_there_is_none() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let free = api.tenant("free", "generic").await;
    api.patch_tenant("acme", json!({"limits": {"events_per_second": 1}})).await;
    publish(&api, &key).await.expect(202);
    refused(&publish(&api, &key).await, "1");
    let second = api.send(Call::post("/v1/tenants/acme/keys").key(ADMIN).json(&json!({}))).await.expect(201);
    publish(&api, second["key"].as_str().unwrap()).await.expect(202);
    let admin = || Call::post("/v1/events").key(ADMIN).json(&json!({"type": "user.created", "data": 1}));
    api.send(admin().with("whimbrel-tenant", "acme")).await.expect(202);
    refused(&api.send(admin().with("whimbrel-tenant", "acme")).await, "1");
    for _ in 0..5 {
        publish(&api, &free).await.expect(202);
        api.send(admin()).await.expect(202);
    }
}

#[tokio::test]
async fn rule_34_the_tenants_payload_limit_holds_for_the_rendered_body() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let data = json!({"text": "x".repeat(400)});
    let event = json!({"type": "user.created", "data": data});
    let single = || Call::post("/v1/events").key(&key).json(&event);
    let cloud = json!({"specversion": "1.0", "id": "1", "source": "/x", "type": "user.created", "data": data});
    let cloud = || Call::post("/v1/events").key(&key).raw("application/cloudevents+json", &cloud.to_string());
    let batch = || Call::post("/v1/events/batch").key(&key).json(&json!({"events": [event]}));
    let data_bytes = data.to_string().len();
    api.patch_tenant("acme", json!({"limits": {"payload_bytes": data_bytes}})).await;
    for call in [single(), cloud()] {
        let problem = api.send(call).await.problem(413);
        assert_eq!(problem["errors"][0]["pointer"], "/data", "the envelope counts");
    }
    let results = api.send(batch()).await.expect(202);
    assert_eq!(results["results"][0]["status"], 413);
    api.patch_tenant("acme", json!({"limits": {"payload_bytes": data_bytes + 200}})).await;
    for call in [single(), cloud(), batch()] {
        api.send(call).await.expect(202);
    }
}

#[tokio::test]
async fn the_tenants_number_of_webhooks_holds_where_it_is_smaller() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let post = || {
        let body: Value = json!({"url": "https://example.com", "events": ["*"]});
        api.send(Call::post("/v1/webhooks").key(&key).json(&body))
    };
    api.patch_tenant("acme", json!({"limits": {"webhooks": 1}})).await;
    post().await.expect(201);
    assert_eq!(post().await.problem(409)["type"], "urn:whimbrel:problem:webhook_limit");
    api.patch_tenant("acme", json!({"limits": {"webhooks": 2}})).await;
    post().await.expect(201);
}
