//! The log: deliveries, attempts, manual retries.

use serde_json::json;

use crate::support::{Api, Call, Reply};

#[tokio::test]
async fn the_log_has_the_documented_fields() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    let good = api.delivered(id, &[Reply::Status(200, b"thanks")]).await;
    api.clock.advance_ms(1);
    let bad = api.delivered(id, &[Reply::Status(500, b"\xff no"), Reply::Timeout]).await;

    let list = api.send(Call::get(&format!("/v1/webhooks/{id}/deliveries")).key(&key)).await.expect(200);
    let items = list["deliveries"].as_array().unwrap();
    assert_eq!((&items[0]["id"], &items[1]["id"]), (&json!(bad.to_string()), &json!(good.to_string())), "newest first");
    let success = &items[1];
    assert_eq!(success["status"], "success");
    assert_eq!((&success["status_code"], &success["attempts"]), (&json!(200), &json!(1)));
    assert_eq!((&success["delivered_at"], &success["error"]), (&json!("2026-01-15T12:00:00Z"), &json!(null)));
    assert_eq!(success["event_type"], "user.created");
    let retrying = &items[0];
    assert_eq!((&retrying["status"], &retrying["attempts"]), (&json!("retrying"), &json!(2)));
    assert_eq!(retrying["status_code"], json!(null), "the last attempt brought no response");
    assert!(retrying["error"].as_str().unwrap().starts_with("timeout"), "{retrying}");
    assert!(retrying["next_attempt_at"].is_string());

    let one = api.send(Call::get(&format!("/v1/deliveries/{bad}")).key(&key)).await.expect(200);
    let attempts = one["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!((&attempts[0]["number"], &attempts[0]["status_code"]), (&json!(1), &json!(500)));
    assert_eq!(attempts[0]["response_body"], "\u{fffd} no");
    assert_eq!((&attempts[1]["number"], &attempts[1]["response_body"]), (&json!(2), &json!(null)));
    assert_eq!(attempts[1]["duration_ms"], 30_000);
}

#[tokio::test]
async fn the_log_is_filtered() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    let good = api.delivered(id, &[Reply::Status(200, b"")]).await.to_string();
    api.clock.advance_ms(60_000);
    let bad = api.delivered(id, &[Reply::Status(500, b"")]).await.to_string();
    let cases = [
        ("status=success", vec![&good]),
        ("status=retrying", vec![&bad]),
        ("status=failed", vec![]),
        ("status=held", vec![]),
        ("event_type=user.created", vec![&bad, &good]),
        ("event_type=user.deleted", vec![]),
        ("since=2026-01-15T12:00:30Z", vec![&bad]),
        ("until=2026-01-15T12:00:30Z", vec![&good]),
        ("since=2026-01-15T12:00:00Z&until=2026-01-15T12:00:30Z&status=success", vec![&good]),
        ("limit=1", vec![&bad]),
    ];
    for (query, expected) in cases {
        let list = api.send(Call::get(&format!("/v1/webhooks/{id}/deliveries?{query}")).key(&key)).await.expect(200);
        let found: Vec<&str> =
            list["deliveries"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{query}");
    }
    for query in ["status=succeeded", "since=yesterday", "event_type=a%20b"] {
        api.send(Call::get(&format!("/v1/webhooks/{id}/deliveries?{query}")).key(&key)).await.problem(400);
    }
}

#[tokio::test]
async fn rule_07_what_waits_for_a_disabled_webhook_shows_as_held() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    let delivery = api.delivered(id, &[Reply::Status(500, b"")]).await;
    let body = json!({"active": false});
    api.send(Call::new("PATCH", &format!("/v1/webhooks/{id}")).key(&key).json(&body)).await.expect(200);
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(&key)).await.expect(200);
    assert_eq!((&one["status"], &one["next_attempt_at"]), (&json!("held"), &json!(null)));
    let held = api.send(Call::get(&format!("/v1/webhooks/{id}/deliveries?status=held")).key(&key)).await.expect(200);
    assert_eq!(held["deliveries"].as_array().unwrap().len(), 1);
    let retrying =
        api.send(Call::get(&format!("/v1/webhooks/{id}/deliveries?status=retrying")).key(&key)).await.expect(200);
    assert_eq!(retrying["deliveries"], json!([]));
    api.send(Call::post(&format!("/v1/deliveries/{delivery}/retry")).key(&key)).await.problem(409);
}

#[tokio::test]
async fn a_manual_retry_begins_a_round_and_only_one() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let delivery = api.delivered(hook["id"].as_str().unwrap(), &[Reply::Status(500, b"")]).await;
    let path = format!("/v1/deliveries/{delivery}/retry");
    let started = api.send(Call::post(&path).key(&key)).await.expect(202);
    assert_eq!((&started["id"], &started["status"]), (&json!(delivery.to_string()), &json!("pending")));
    assert_eq!(started["attempt"], 3, "one past the awaited second");
    api.send(Call::post(&path).key(&key)).await.problem(409);
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(&key)).await.expect(200);
    assert_eq!(one["status"], "pending", "waiting shows as pending");
}

#[tokio::test]
async fn an_event_shows_its_deliveries() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let delivery = api.delivered(hook["id"].as_str().unwrap(), &[Reply::Status(204, b"")]).await;
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(&key)).await.expect(200);
    let event =
        api.send(Call::get(&format!("/v1/events/{}", one["event_id"].as_str().unwrap())).key(&key)).await.expect(200);
    assert_eq!(event["deliveries"][0]["id"], delivery.to_string());
    assert_eq!(event["deliveries"][0]["webhook_id"], hook["id"]);
    assert_eq!(event["deliveries"][0]["status"], "success");
}

#[tokio::test]
async fn deleting_a_webhook_cancels_what_waits() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    let delivery = api.delivered(id, &[Reply::Status(500, b"")]).await;
    assert_eq!(api.send(Call::new("DELETE", &format!("/v1/webhooks/{id}")).key(&key)).await.status, 204);
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(&key)).await.expect(200);
    assert_eq!(one["status"], "cancelled");
    api.send(Call::post(&format!("/v1/deliveries/{delivery}/retry")).key(&key)).await.problem(409);
}
