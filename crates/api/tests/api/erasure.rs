//! Erasing payloads.

use serde_json::json;

use crate::support::{ADMIN, Api, Call, Reply};

#[tokio::test]
async fn an_erased_event_keeps_its_place_in_the_log_without_its_data() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let hook = api.webhook(&key, json!({"url": "https://example.com", "events": ["*"]})).await;
    let delivery = api.delivered(hook["id"].as_str().unwrap(), &[Reply::Status(500, b"a secret answer")]).await;
    let delivery = format!("/v1/deliveries/{delivery}");
    let event = api.send(Call::get(&delivery).key(&key)).await.expect(200)["event_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/events/{event}");
    let before = api.send(Call::get(&path).key(&key)).await.expect(200);
    assert_eq!((&before["erased"], &before["data"]), (&json!(false), &json!({"id": "user_123"})));

    let erase = || api.send(Call::new("DELETE", &format!("{path}/payload")).key(&key));
    assert_eq!(erase().await.status, 204);
    assert_eq!(erase().await.status, 204, "once more does no harm");
    let after = api.send(Call::get(&path).key(&key)).await.expect(200);
    assert_eq!((&after["erased"], &after["data"]), (&json!(true), &json!(null)));
    assert_eq!((&after["id"], &after["type"]), (&before["id"], &before["type"]));
    assert_eq!(after["deliveries"][0]["status"], "cancelled");
    let list = api.send(Call::get("/v1/events").key(&key)).await.expect(200);
    assert_eq!(list["events"][0]["erased"], true);
    let text = api.send(Call::get(&delivery).key(&key)).await.text();
    assert!(!text.contains("a secret answer"), "{text}");
}

#[tokio::test]
async fn nobody_erases_what_is_not_there_or_not_theirs() {
    let api = Api::start().await;
    api.tenant("acme", "generic").await;
    let other = api.tenant("other", "generic").await;
    let event = api.stored_event("acme", "user.created", "1", &[]).await;
    let path = format!("/v1/events/{event}/payload");
    api.send(Call::new("DELETE", &path).key(&other)).await.problem(404);
    api.send(Call::new("DELETE", "/v1/events/evt_01jb3h2k9fe8yaw3cvj6s5n7qt/payload").key(&other)).await.problem(404);
    let admin = Call::new("DELETE", &path).key(ADMIN).with("whimbrel-tenant", "acme");
    assert_eq!(api.send(admin).await.status, 204);
}

#[tokio::test]
async fn a_tenants_erasure_shows_until_it_is_done() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let event = api.stored_event("acme", "user.created", "1", &[]).await;
    api.clock.advance_ms(1_000);
    let later = api.stored_event("acme", "user.created", "2", &[]).await;
    let erase = |body| Call::post("/v1/tenants/acme/erase").key(ADMIN).json(&body);
    let asked = api.send(erase(json!({"before": "2026-01-15T12:00:01Z"}))).await.expect(202);
    assert_eq!(asked["erasing_before"], "2026-01-15T12:00:01Z");
    while api.state.store.erase_step(100).await.unwrap() > 0 {}
    let tenant = api.send(Call::get("/v1/tenants/acme").key(ADMIN)).await.expect(200);
    assert_eq!(tenant["erasing_before"], json!(null), "it has ended");
    for (id, erased) in [(event, true), (later, false)] {
        let seen = api.send(Call::get(&format!("/v1/events/{id}")).key(&key)).await.expect(200);
        assert_eq!(seen["erased"], erased, "{id}");
    }
    let asked = api.send(erase(json!({}))).await.expect(202);
    assert_eq!(asked["erasing_before"], "2026-01-15T12:00:01Z", "now, if nothing else is said");
}

#[tokio::test]
async fn an_erasure_reaches_no_further_than_now_and_no_unknown_tenant() {
    let api = Api::start().await;
    let ahead = json!({"before": "2026-01-15T12:00:00.000001Z"});
    let problem = api.send(Call::post("/v1/tenants/default/erase").key(ADMIN).json(&ahead)).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/before");
    api.send(Call::post("/v1/tenants/nobody/erase").key(ADMIN).json(&json!({}))).await.problem(404);
    let key = api.tenant("acme", "generic").await;
    api.send(Call::post("/v1/tenants/acme/erase").key(&key).json(&json!({}))).await.problem(403);
}
