//! Keys: made once, shown never again, expiring, and when they were used.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{ADMIN, Api, Call};

/// A test that waits longer than this fails.
const PATIENCE: Duration = Duration::from_secs(10);

async fn made(api: &Api, path: &str, body: Value) -> Value {
    api.send(Call::post(path).key(ADMIN).json(&body)).await.expect(201)
}

/// The key in the list of this address.
async fn listed(api: &Api, path: &str, id: &Value) -> Value {
    let list = api.send(Call::get(path).key(ADMIN)).await.expect(200);
    list["keys"].as_array().unwrap().iter().find(|entry| entry["id"] == *id).unwrap().clone()
}

/// Looks until the use of a key is noted, which happens beside the request.
async fn last_used(api: &Api, path: &str, id: &Value, not: &Value) -> Value {
    let looking = async {
        loop {
            let seen = listed(api, path, id).await["last_used_at"].clone();
            if seen != *not {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("the use is noted")
}

#[tokio::test]
async fn a_key_is_shown_once() {
    let api = Api::start().await;
    api.tenant("acme", "standard").await;
    for path in ["/v1/tenants/acme/keys", "/v1/keys"] {
        let answer = api.send(Call::post(path).key(ADMIN).json(&json!({"name": "billing"}))).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let made = answer.expect(201);
        assert!(made["key"].as_str().unwrap().starts_with("whk_"));
        let entry = listed(&api, path, &made["id"]).await;
        assert_eq!((&entry["name"], entry.get("key")), (&json!("billing"), None));
        assert_eq!((&entry["expires_at"], &entry["last_used_at"]), (&json!(null), &json!(null)));
        let long = json!({"name": "x".repeat(257)});
        api.send(Call::post(path).key(ADMIN).json(&long)).await.problem(422);
    }
    api.send(Call::post("/v1/tenants/nobody/keys").key(ADMIN).json(&json!({}))).await.problem(404);
    api.send(Call::get("/v1/tenants/nobody/keys").key(ADMIN)).await.problem(404);
}

#[tokio::test]
async fn an_admin_key_of_the_store_does_what_the_configured_one_does() {
    let api = Api::start().await;
    let second = made(&api, "/v1/keys", json!({"name": "second"})).await;
    let key = second["key"].as_str().unwrap();
    api.send(Call::post("/v1/tenants").key(key).json(&json!({"id": "acme", "contract": "standard"}))).await.expect(201);
    let of_tenant = api.send(Call::get("/v1/tenants/acme/keys").key(key)).await.expect(200);
    assert_eq!(of_tenant["keys"], json!([]), "an admin key is no tenant's");
    let revoke = format!("/v1/keys/{}", second["id"].as_str().unwrap());
    assert_eq!(api.send(Call::new("DELETE", &revoke).key(key)).await.status, 204);
    api.send(Call::get("/v1/tenants").key(key)).await.problem(401);
}

#[tokio::test]
async fn an_expired_key_is_401_with_words() {
    let api = Api::start().await;
    api.tenant("acme", "standard").await;
    let body = json!({"name": "for a day", "expires_at": "2026-01-16T12:00:00Z"});
    let short = made(&api, "/v1/tenants/acme/keys", body).await;
    assert_eq!(short["expires_at"], "2026-01-16T12:00:00Z");
    let key = short["key"].as_str().unwrap();
    api.send(Call::get("/v1/webhooks").key(key)).await.expect(200);
    api.clock.advance_ms(24 * 3_600_000);
    let answer = api.send(Call::get("/v1/webhooks").key(key)).await;
    let detail = answer.problem(401)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("expired at 2026-01-16T12:00:00Z"), "{detail}");
    assert!(answer.header("www-authenticate").contains("invalid_token"));
    let past = json!({"expires_at": "2026-01-16T12:00:00Z"});
    for path in ["/v1/tenants/acme/keys", "/v1/keys"] {
        let problem = api.send(Call::post(path).key(ADMIN).json(&past)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/expires_at");
    }
}

#[tokio::test]
async fn the_last_use_is_noted_to_the_minute() {
    let api = Api::start().await;
    api.tenant("acme", "standard").await;
    let path = "/v1/tenants/acme/keys";
    let new = made(&api, path, json!({})).await;
    let key = new["key"].as_str().unwrap();
    let using = || api.send(Call::get("/v1/webhooks").key(key));
    using().await.expect(200);
    let first = last_used(&api, path, &new["id"], &Value::Null).await;
    assert_eq!(first, "2026-01-15T12:00:00Z");
    api.clock.advance_ms(59_999);
    using().await.expect(200);
    api.clock.advance_ms(1);
    using().await.expect(200);
    let second = last_used(&api, path, &new["id"], &first).await;
    assert_eq!(second, "2026-01-15T12:01:00Z", "the use a millisecond earlier was within the minute");
}
