//! Tenants and keys.

use serde_json::json;

use crate::support::{ADMIN, Api, Call};

#[tokio::test]
async fn a_tenants_life() {
    let api = Api::start().await;
    let body = json!({"id": "acme", "name": "Acme", "contract": "bitbybit"});
    let made = api.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.expect(201);
    assert_eq!(made["limits"], json!({"webhooks": 10, "events_per_second": null, "payload_bytes": 65536}));
    api.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.problem(409);
    let read = api.send(Call::get("/v1/tenants/acme").key(ADMIN)).await.expect(200);
    assert_eq!(read, made);

    let patch = |body| Call::new("PATCH", "/v1/tenants/acme").key(ADMIN).json(&body);
    let changed = api.send(patch(json!({"name": null, "contract": "generic"}))).await.expect(200);
    assert_eq!((&changed["name"], &changed["contract"]), (&json!(null), &json!("generic")));
    api.send(patch(json!({"contract": "no-such"}))).await.problem(422);
    api.send(patch(json!({"id": "other"}))).await.problem(422);

    assert_eq!(api.send(Call::new("DELETE", "/v1/tenants/acme").key(ADMIN)).await.status, 204);
    api.send(Call::get("/v1/tenants/acme").key(ADMIN)).await.problem(404);
    api.send(Call::new("DELETE", "/v1/tenants/acme").key(ADMIN)).await.problem(404);
}

#[tokio::test]
async fn an_unknown_contract_is_refused_with_the_names_there_are() {
    let api = Api::start().await;
    let body = json!({"id": "acme", "contract": "no-such"});
    let problem = api.send(Call::post("/v1/tenants").key(ADMIN).json(&body)).await.problem(422);
    let detail = problem["detail"].as_str().unwrap();
    for name in ["bitbybit", "eightbit", "generic", "standard"] {
        assert!(detail.contains(name), "{detail}");
    }
}

#[tokio::test]
async fn the_tenant_default_exists_and_stays() {
    let api = Api::start().await;
    api.send(Call::get("/v1/tenants/default").key(ADMIN)).await.expect(200);
    api.send(Call::new("DELETE", "/v1/tenants/default").key(ADMIN)).await.problem(409);
}

#[tokio::test]
async fn rule_26_the_contract_is_fixed_once_there_are_webhooks() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    api.webhook(&key, json!({"url": "https://example.com", "events": ["*"]})).await;
    let patch = Call::new("PATCH", "/v1/tenants/acme").key(ADMIN).json(&json!({"contract": "standard"}));
    api.send(patch).await.problem(409);
    let read = api.send(Call::get("/v1/tenants/acme").key(ADMIN)).await.expect(200);
    assert_eq!(read["contract"], "generic");
}

#[tokio::test]
async fn tenants_are_listed_page_by_page() {
    let api = Api::start().await;
    for id in ["a", "b", "c"] {
        api.tenant(id, "standard").await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/tenants?limit=2".to_owned();
    loop {
        let page = api.send(Call::get(&path).key(ADMIN)).await.expect(200);
        seen.extend(page["tenants"].as_array().unwrap().iter().map(|tenant| tenant["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tenants?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["a", "b", "c", "default"]);
}
