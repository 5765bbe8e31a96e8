//! The audit log.

use serde_json::{Value, json};

use crate::support::{ADMIN, Api, Call};

async fn entries(api: &Api, key: &str, query: &str) -> Vec<Value> {
    let page = api.send(Call::get(&format!("/v1/audit{query}")).key(key)).await.expect(200);
    page["entries"].as_array().unwrap().clone()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn rule_36_a_change_is_recorded_with_who_what_and_whose() {
    let api = Api::start().await;
    let acme = json!({"id": "acme", "contract": "generic"});
    api.send(Call::post("/v1/tenants").key(ADMIN).json(&acme)).await.expect(201);
    api.clock.advance_ms(1);
    let made = api.send(Call::post("/v1/tenants/acme/keys").key(ADMIN).json(&json!({}))).await.expect(201);
    let key = made["key"].as_str().unwrap();
    api.clock.advance_ms(1);
    let hook = api.webhook(key, json!({"url": "https://example.com", "events": ["*"]})).await;
    api.clock.advance_ms(1);
    let path = format!("/v1/webhooks/{}", hook["id"].as_str().unwrap());
    let patch = Call::new("PATCH", &path).key(key).with("x-request-id", "mine").json(&json!({"active": false}));
    api.send(patch).await.expect(200);
    let seen = entries(&api, ADMIN, "").await;
    assert_eq!(
        actions(&seen),
        ["PATCH /v1/webhooks/{id}", "POST /v1/webhooks", "POST /v1/tenants/{id}/keys", "POST /v1/tenants"]
    );
    assert_eq!(seen[0]["actor"], made["id"]);
    assert_eq!((&seen[0]["subject"], &seen[0]["status"]), (&json!(path), &json!(200)));
    assert_eq!(seen[0]["request_id"], "mine");
    assert_eq!((&seen[3]["actor"], &seen[3]["status"]), (&json!("admin"), &json!(201)));
    assert_eq!(seen[3]["at"], "2026-01-15T12:00:00Z");
    assert!(seen.iter().all(|entry| entry["tenant"] == "acme"), "{seen:?}");
}

#[tokio::test]
async fn what_changed_nothing_is_not_recorded() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let before = entries(&api, ADMIN, "").await;
    api.send(Call::get("/v1/webhooks").key(&key)).await.expect(200);
    api.send(Call::post("/v1/events").key(&key).json(&json!({"type": "a.b", "data": 1}))).await.expect(202);
    let batch = json!({"events": [{"type": "a.b", "data": 1}]});
    api.send(Call::post("/v1/events/batch").key(&key).json(&batch)).await.expect(202);
    api.send(Call::post("/v1/webhooks").key(&key).json(&json!({}))).await.problem(422);
    api.send(Call::post("/v1/webhooks")).await.problem(401);
    api.send(Call::new("DELETE", "/v1/tenants/nobody").key(ADMIN)).await.problem(404);
    assert_eq!(entries(&api, ADMIN, "").await, before);
}

#[tokio::test]
async fn a_tenants_key_sees_its_own_and_an_admin_all_or_one() {
    let api = Api::start().await;
    let acme = api.tenant("acme", "generic").await;
    let other = api.tenant("other", "generic").await;
    assert_eq!(entries(&api, &acme, "").await.len(), 2, "made, and given a key");
    assert_eq!(entries(&api, &acme, "?tenant=acme").await.len(), 2);
    api.send(Call::get("/v1/audit?tenant=acme").key(&other)).await.problem(403);
    assert_eq!(entries(&api, ADMIN, "").await.len(), 4);
    assert_eq!(entries(&api, ADMIN, "?tenant=other").await.len(), 2);
    let acting = Call::get("/v1/audit").key(ADMIN).with("whimbrel-tenant", "other");
    assert_eq!(api.send(acting).await.expect(200)["entries"].as_array().unwrap().len(), 2);

    api.clock.advance_ms(1);
    assert_eq!(api.send(Call::new("DELETE", "/v1/tenants/other").key(ADMIN)).await.status, 204);
    let seen = entries(&api, ADMIN, "?tenant=other").await;
    assert_eq!(seen[0]["action"], "DELETE /v1/tenants/{id}", "it outlives the tenant");
}

#[tokio::test]
async fn the_log_is_paged() {
    let api = Api::start().await;
    for id in ["a", "b"] {
        api.tenant(id, "standard").await;
        api.clock.advance_ms(1);
    }
    let page = api.send(Call::get("/v1/audit?limit=3").key(ADMIN)).await.expect(200);
    let rest = api.send(Call::get(&format!("/v1/audit?cursor={}", page["next_cursor"].as_str().unwrap())).key(ADMIN));
    let rest = rest.await.expect(200);
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    assert_eq!(rest["entries"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], json!(null));
    assert_ne!(page["entries"][2]["id"], rest["entries"][0]["id"]);
}
