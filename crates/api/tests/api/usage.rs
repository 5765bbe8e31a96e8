//! Usage counts.

use serde_json::json;
use whimbrel_core::port::Clock as _;

use crate::support::{Api, Call, Reply};

#[tokio::test]
async fn rule_36_usage_is_told_day_by_day() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let other = api.tenant("other", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://example.com", "events": ["*"]})).await;
    let hook = hook["id"].as_str().unwrap();
    api.delivered(hook, &[Reply::Status(500, b""), Reply::Status(200, b"")]).await;
    api.stored_event("acme", "user.created", "1", &[]).await;
    api.state.store.count_usage(api.clock.now()).await.unwrap();
    api.clock.advance_ms(24 * 3_600_000);
    api.stored_event("acme", "user.created", "1", &[]).await;
    api.state.store.count_usage(api.clock.now()).await.unwrap();

    let days = json!([
        {"day": "2026-01-15", "events": 2, "deliveries": 1, "attempts": 2},
        {"day": "2026-01-16", "events": 1, "deliveries": 0, "attempts": 0},
    ]);
    let read = async |query: &str| api.send(Call::get(&format!("/v1/usage{query}")).key(&key)).await.expect(200);
    assert_eq!(read("").await, json!({"usage": days, "next_cursor": null}));
    assert_eq!(read("?since=2026-01-16").await["usage"], json!([days[1]]));
    assert_eq!(read("?until=2026-01-16").await["usage"], json!([days[0]]), "the end is not included");
    assert_eq!(read("?since=2025-01-01&until=2026-01-01").await["usage"], json!([]));
    let others = api.send(Call::get("/v1/usage").key(&other)).await.expect(200);
    let counted = |row: &serde_json::Value| row["events"] != 0;
    assert!(!others["usage"].as_array().unwrap().iter().any(counted), "{others}");
}

#[tokio::test]
async fn spans_out_of_bounds_and_what_is_no_day_are_400() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    for query in [
        "since=2026-01-15&until=2026-01-15",
        "since=2026-01-15&until=2026-01-01",
        "since=2024-01-01&until=2026-01-01",
        "since=yesterday",
        "since=2026-02-30",
        "until=2026-01-15T00:00:00Z",
        "limit=7",
    ] {
        api.send(Call::get(&format!("/v1/usage?{query}")).key(&key)).await.problem(400);
    }
}
