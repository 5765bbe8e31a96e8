//! A webhook's figures.

use serde_json::json;

use crate::support::{Api, Call, Reply};

#[tokio::test]
async fn the_figures_are_of_the_window() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    api.delivered(id, &[Reply::Status(200, b"")]).await;
    api.clock.advance_ms(2 * 86_400_000);
    api.delivered(id, &[Reply::Status(500, b""), Reply::Status(204, b"")]).await;
    api.delivered(id, &[Reply::Status(500, b"")]).await;
    api.clock.advance_ms(1_000);
    let stats = |query: &str| api.send(Call::get(&format!("/v1/webhooks/{id}/stats{query}")).key(&key));

    let day = stats("").await.expect(200);
    assert_eq!((&day["since"], &day["until"]), (&json!("2026-01-16T12:00:01Z"), &json!("2026-01-17T12:00:01Z")));
    let counts = json!({"pending": 0, "retrying": 1, "held": 0, "success": 1, "failed": 0, "cancelled": 0});
    assert_eq!((&day["webhook_id"], &day["deliveries"]), (&hook["id"], &counts));
    assert_eq!(day["attempts"], 3);
    let rate = day["success_rate"].as_f64().unwrap();
    assert!((rate - 1.0 / 3.0).abs() < 1e-9, "{rate}");
    assert_eq!((&day["p50_ms"], &day["p95_ms"]), (&json!(7), &json!(7)));

    let all = stats("?since=2026-01-15T00:00:00Z").await.expect(200);
    assert_eq!((&all["deliveries"]["success"], &all["attempts"]), (&json!(2), &json!(4)));
    let nothing = stats("?since=2026-01-14T00:00:00Z&until=2026-01-15T00:00:00Z").await.expect(200);
    assert_eq!(
        (&nothing["attempts"], &nothing["success_rate"], &nothing["p50_ms"]),
        (&json!(0), &json!(null), &json!(null))
    );

    for query in [
        "?since=2026-01-17T12:00:01Z",
        "?since=2025-12-01T00:00:00Z",
        "?since=2026-01-16T00:00:00Z&until=2026-01-15T00:00:00Z",
        "?since=yesterday",
        "?days=3",
    ] {
        stats(query).await.problem(400);
    }
}

#[tokio::test]
async fn rule_07_what_waits_for_a_disabled_webhook_counts_as_held() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = hook["id"].as_str().unwrap();
    api.delivered(id, &[]).await;
    api.delivered(id, &[Reply::Status(500, b"")]).await;
    api.clock.advance_ms(1);
    let path = format!("/v1/webhooks/{id}");
    api.send(Call::new("PATCH", &path).key(&key).json(&json!({"active": false}))).await.expect(200);
    let stats = api.send(Call::get(&format!("{path}/stats")).key(&key)).await.expect(200);
    let counts = json!({"pending": 0, "retrying": 0, "held": 2, "success": 0, "failed": 0, "cancelled": 0});
    assert_eq!(stats["deliveries"], counts);
}
