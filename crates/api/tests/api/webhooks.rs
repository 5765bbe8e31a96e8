//! Webhooks: seed shapes, and every bad input.

use serde_json::{Value, json};

use crate::support::{ADMIN, Api, Call};

const URL: &str = "https://yourapp.com/webhook";

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn creating_one_answers_the_documented_fields() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let body = json!({
        "url": URL,
        "events": ["user.created", "user.updated", "project.created"],
        "secret": "whsec_abc123...",
        "active": true
    });
    let answer = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let text = answer.text();
    let made = answer.expect(201);
    for field in ["url", "events", "secret", "active"] {
        assert_eq!(made[field], body[field], "{field}");
    }
    assert!(made["id"].as_str().unwrap().starts_with("hook_"));
    assert_eq!(made["created_at"], "2026-01-15T12:00:00Z");
    assert_eq!(made["status"], "active");
    let places: Vec<usize> = ["id", "url", "events", "secret", "active", "created_at", "status"]
        .map(|field| text.find(&format!("\"{field}\":")).unwrap())
        .to_vec();
    assert!(places.is_sorted(), "the documented fields come first and in their order: {text}");
}

#[tokio::test]
async fn the_secret_is_shown_at_creation_only() {
    let api = Api::start().await;
    for contract in ["bitbybit", "eightbit", "generic", "standard"] {
        let key = api.tenant(contract, contract).await;
        let made = api.webhook(&key, json!({"url": URL, "events": ["*"]})).await;
        assert!(made["secret"].as_str().unwrap().len() >= 24, "{contract}: a secret was made");
        let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
        let read = api.send(Call::get(&path).key(&key)).await.expect(200);
        assert!(!keys(&read).contains(&"secret"), "{contract}");
        let list = api.send(Call::get("/v1/webhooks").key(&key)).await.expect(200);
        assert!(!keys(&list["webhooks"][0]).contains(&"secret"), "{contract}");
        let patched =
            api.send(Call::new("PATCH", &path).key(&key).json(&json!({"description": "x"}))).await.expect(200);
        assert!(!keys(&patched).contains(&"secret"), "{contract}");
    }
}

#[tokio::test]
async fn a_bad_url_is_refused() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    for url in
        ["http://yourapp.com/", "ftp://yourapp.com", "yourapp.com", "https://user:pw@yourapp.com", "https://a b", ""]
    {
        let body = json!({"url": url, "events": ["*"]});
        let problem = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/url", "{url}");
    }
}

#[tokio::test]
async fn plain_http_needs_the_deployments_leave_and_an_allowed_network_under_an_https_only_contract() {
    let api = Api::start_with(|settings| {
        settings.allow_http = true;
        settings.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let generic = api.tenant("generic", "generic").await;
    let standard = api.tenant("standard", "standard").await;
    let body = |url: &str| json!({"url": url, "events": ["*"]});
    api.webhook(&generic, body("http://yourapp.com/")).await;
    api.webhook(&standard, body("http://127.0.0.1:9000/")).await;
    api.send(Call::post("/v1/webhooks").key(&standard).json(&body("http://192.0.2.7/"))).await.problem(422);
}

#[tokio::test]
async fn the_secrets_form_is_the_contracts() {
    let api = Api::start().await;
    let cases = [
        ("generic", "short", 422),
        ("generic", " twelve_chars", 422),
        ("generic", "twelve_chars", 201),
        ("eightbit", "fifteen-letters", 422),
        ("eightbit", "sixteen--letters", 201),
        ("bitbybit", "whatever-it-may-be-it-is-generated", 422),
        ("standard", "twelve_chars_and_more", 422),
        ("standard", "whsec_AAAA", 422),
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 201),
    ];
    for (place, (contract, secret, status)) in cases.into_iter().enumerate() {
        let key = api.tenant(&format!("t{place}"), contract).await;
        let body = json!({"url": URL, "events": ["*"], "secret": secret});
        let answer = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await;
        if status == 201 {
            assert_eq!(answer.expect(201)["secret"], secret);
        } else {
            let problem = answer.problem(422);
            assert_eq!(problem["errors"][0]["pointer"], "/secret", "{contract} {secret}");
            assert!(!problem.to_string().contains(secret), "a secret is never repeated in an error");
        }
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let body = json!({"url": "nowhere", "events": ["customer.created", "user.created"], "secret": "x", "description": "\u{7}"});
    let problem = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await.problem(422);
    let mut pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/description", "/events/1", "/secret", "/url"]);
}

#[tokio::test]
async fn rule_30_the_contracts_limit_holds_for_concurrent_requests_too() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let body = json!({"url": URL, "events": ["*"]});
    let calls = (0..15).map(|_| api.send(Call::post("/v1/webhooks").key(&key).json(&body)));
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.problem(409)["type"], "urn:whimbrel:problem:webhook_limit");
    }
    let list = api.send(Call::get("/v1/webhooks").key(&key)).await.expect(200);
    let first = list["webhooks"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.send(Call::new("DELETE", &format!("/v1/webhooks/{first}")).key(&key)).await.status, 204);
    api.webhook(&key, body).await;
}

#[tokio::test]
async fn a_change_touches_what_it_names() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["*"], "description": "first"})).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let patch = |body: Value| api.send(Call::new("PATCH", &path).key(&key).json(&body));

    let changed = patch(json!({"url": "https://yourapp.com/2", "events": ["user.*"]})).await.expect(200);
    assert_eq!((&changed["url"], &changed["events"]), (&json!("https://yourapp.com/2"), &json!(["user.*"])));
    assert_eq!(changed["description"], "first");
    assert_eq!(patch(json!({"description": null})).await.expect(200)["description"], json!(null));
    assert_eq!(patch(json!({})).await.expect(200)["url"], "https://yourapp.com/2");

    for body in
        [json!({"url": "http://x"}), json!({"events": []}), json!({"secret": "whsec_abc123456"}), json!({"id": "x"})]
    {
        patch(body).await.problem(422);
    }
    assert_eq!(api.send(Call::get(&path).key(&key)).await.expect(200)["url"], "https://yourapp.com/2");
}

#[tokio::test]
async fn rule_12_the_owner_disables_and_activates() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["*"], "active": false})).await;
    assert_eq!((&made["active"], &made["status"]), (&json!(false), &json!("disabled")));
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let activate = || api.send(Call::post(&format!("{path}/activate")).key(&key));
    assert_eq!(activate().await.expect(200)["status"], "active");
    let patch = |active: bool| api.send(Call::new("PATCH", &path).key(&key).json(&json!({"active": active})));
    assert_eq!(patch(false).await.expect(200)["status"], "disabled");
    assert_eq!(patch(true).await.expect(200)["status"], "active");
}

#[tokio::test]
async fn rule_10_every_change_is_announced() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut notices = api.notices().await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["*"]})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/webhooks/{id}");
    let first = notices.next().await;
    assert_eq!((first.kind.as_str(), first.tenant.as_str()), ("endpoint.changed", "acme"));
    let mut version = first.version;
    let changes = [
        Call::new("PATCH", &path).json(&json!({"active": false})),
        Call::post(&format!("{path}/activate")),
        Call::post(&format!("{path}/rotate-secret")).json(&json!({})),
        Call::new("DELETE", &path),
    ];
    for change in changes {
        let status = api.send(change.key(&key)).await.status;
        assert!(status < 300, "{status}");
        let notice = notices.next().await;
        assert_eq!(notice.endpoint(), id);
        assert!(notice.version > version, "the version rises");
        version = notice.version;
    }
}

#[tokio::test]
async fn a_deleted_webhook_is_gone() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["*"]})).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    assert_eq!(api.send(Call::new("DELETE", &path).key(&key)).await.status, 204);
    api.send(Call::new("DELETE", &path).key(&key)).await.problem(404);
    api.send(Call::get(&path).key(&key)).await.problem(404);
    api.send(Call::new("PATCH", &path).key(&key).json(&json!({}))).await.problem(404);
    for action in ["test", "activate", "signing-key"] {
        api.send(Call::post(&format!("{path}/{action}")).key(&key)).await.problem(404);
    }
    api.send(Call::post(&format!("{path}/replay")).key(&key).json(&json!({"since": "2026-01-01T00:00:00Z"})))
        .await
        .problem(404);
    api.send(Call::post(&format!("{path}/rotate-secret")).key(&key).json(&json!({}))).await.problem(404);
}

#[tokio::test]
async fn webhooks_are_listed_page_by_page_oldest_first() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(api.webhook(&key, json!({"url": URL, "events": ["*"]})).await["id"].clone());
        api.clock.advance_ms(1);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/webhooks?limit=2".to_owned();
    loop {
        let page = api.send(Call::get(&path).key(&key)).await.expect(200);
        seen.extend(page["webhooks"].as_array().unwrap().iter().map(|webhook| webhook["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/webhooks?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_test_goes_through_the_pipeline_to_that_webhook_alone() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["user.created"]})).await;
    let id = made["id"].as_str().unwrap();
    let mut events = api.events().await;
    let started = api.send(Call::post(&format!("/v1/webhooks/{id}/test")).key(&key)).await.expect(202);
    let event = events.next().await;
    assert_eq!((event.r#type.as_str(), event.tenant.as_str()), ("webhook.test", "acme"));
    let (event_id, only) = (event.event_id(), event.only().unwrap());
    assert_eq!((started["event_id"].as_str().unwrap(), only.to_string().as_str()), (event_id.to_string().as_str(), id));
    let delivery = whimbrel_core::DeliveryId::of(event_id, only);
    assert_eq!(started["id"], delivery.to_string());
    let body = json!({"active": false});
    api.send(Call::new("PATCH", &format!("/v1/webhooks/{id}")).key(&key).json(&body)).await.expect(200);
    api.send(Call::post(&format!("/v1/webhooks/{id}/test")).key(&key)).await.problem(409);
}

#[tokio::test]
async fn an_admin_acts_for_the_tenant_default() {
    let api = Api::start().await;
    api.webhook(ADMIN, json!({"url": URL, "events": ["*"]})).await;
    let list = api.send(Call::get("/v1/webhooks").key(ADMIN).with("whimbrel-tenant", "default")).await.expect(200);
    assert_eq!(list["webhooks"].as_array().unwrap().len(), 1);
}
