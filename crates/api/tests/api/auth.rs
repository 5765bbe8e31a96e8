//! Keys: none, wrong, revoked, and how far a tenant's key reaches.

use serde_json::json;

use crate::support::{ADMIN, Api, Call, every_route};

#[tokio::test]
async fn every_route_wants_a_key() {
    let api = Api::start().await;
    for (method, path) in every_route() {
        let answer = api.send(Call::new(&method, &path)).await;
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"whimbrel\"", "{method} {path}");
        let answer = api.send(Call::new(&method, &path).key("whk_wrong")).await;
        answer.problem(401);
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{method} {path}");
    }
}

#[tokio::test]
async fn a_tenants_key_may_not_manage_tenants() {
    let api = Api::start().await;
    let key = api.tenant("acme", "standard").await;
    let admins = ["/v1/tenants", "/v1/keys", "/v1/parking"];
    let admin_routes = every_route().into_iter().filter(|(_, path)| admins.iter().any(|begin| path.starts_with(begin)));
    for (method, path) in admin_routes {
        api.send(Call::new(&method, &path).key(&key)).await.problem(403);
    }
}

#[tokio::test]
async fn a_revoked_key_opens_nothing() {
    let api = Api::start().await;
    api.tenant("acme", "standard").await;
    let made =
        api.send(Call::post("/v1/tenants/acme/keys").key(ADMIN).json(&json!({"name": "second"}))).await.expect(201);
    let key = made["key"].as_str().unwrap();
    api.send(Call::get("/v1/webhooks").key(key)).await.expect(200);
    let revoke = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(api.send(Call::new("DELETE", &revoke).key(ADMIN)).await.status, 204);
    api.send(Call::get("/v1/webhooks").key(key)).await.problem(401);
    api.send(Call::new("DELETE", &revoke).key(ADMIN)).await.problem(404);
}

#[tokio::test]
async fn rule_33_the_header_decides_for_an_admin_and_may_only_repeat_a_tenant() {
    let api = Api::start().await;
    let acme = api.tenant("acme", "generic").await;
    api.tenant("other", "generic").await;
    let hook = api.webhook(&acme, json!({"url": "https://example.com/acme", "events": ["*"]})).await;
    let seen = api.send(Call::get("/v1/webhooks").key(ADMIN).with("whimbrel-tenant", "acme")).await.expect(200);
    assert_eq!(seen["webhooks"][0]["id"], hook["id"]);
    let seen = api.send(Call::get("/v1/webhooks").key(ADMIN)).await.expect(200);
    assert_eq!(seen["webhooks"], json!([]), "an admin key without the header acts for `default`");
    api.send(Call::get("/v1/webhooks").key(&acme).with("whimbrel-tenant", "acme")).await.expect(200);
    api.send(Call::get("/v1/webhooks").key(&acme).with("whimbrel-tenant", "other")).await.problem(403);
    api.send(Call::get("/v1/webhooks").key(ADMIN).with("whimbrel-tenant", "nobody")).await.problem(404);
    api.send(Call::get("/v1/webhooks").key(ADMIN).with("whimbrel-tenant", "No Such")).await.problem(400);
}

#[tokio::test]
async fn rule_33_the_body_may_repeat_the_tenant_and_a_mismatch_is_403() {
    let api = Api::start().await;
    let acme = api.tenant("acme", "generic").await;
    let event = |tenant: &str| json!({"type": "user.created", "data": {}, "tenant": tenant});
    api.send(Call::post("/v1/events").key(&acme).json(&event("acme"))).await.expect(202);
    api.send(Call::post("/v1/events").key(&acme).json(&event("default"))).await.problem(403);
    let admin = Call::post("/v1/events").key(ADMIN).with("whimbrel-tenant", "acme");
    api.send(admin.json(&event("default"))).await.problem(403);
    api.send(Call::post("/v1/events").key(ADMIN).json(&event("default"))).await.expect(202);
}
