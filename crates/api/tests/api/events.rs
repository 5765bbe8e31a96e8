//! Events over HTTP: what is queued, and what is not.

use serde_json::json;

use crate::support::{ADMIN, Api, Call, NOW_MS};

#[tokio::test]
async fn an_accepted_event_is_on_the_queue_byte_for_byte() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut events = api.events().await;
    let data = r#"{"b" : 1.0, "a":1e2,"é":"\u00e9", "n":12345678901234567890}"#;
    let body = format!(r#"{{"type":"user.created","data": {data} ,"occurred_at":"2026-01-15T13:30:00+02:00"}}"#);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call =
        Call::post("/v1/events").key(&key).with("traceparent", trace).raw("application/json; charset=utf-8", &body);
    let accepted = api.send(call).await.expect(202);
    let event = events.next().await;
    assert_eq!(event.data, data.as_bytes());
    assert_eq!(accepted["id"], event.event_id().to_string());
    assert_eq!((event.tenant.as_str(), event.r#type.as_str()), ("acme", "user.created"));
    assert_eq!(event.occurred_at_us, (NOW_MS - 30 * 60_000) * 1_000);
    assert_eq!(event.trace.as_ref().unwrap().traceparent, trace);
    assert!(event.only_endpoint.is_empty());
}

#[tokio::test]
async fn an_event_without_a_time_happened_now() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut events = api.events().await;
    api.send(Call::post("/v1/events").key(&key).json(&json!({"type": "user.created", "data": null}))).await.expect(202);
    let event = events.next().await;
    assert_eq!((event.occurred_at_us, event.data.as_ref()), (NOW_MS * 1_000, b"null".as_slice()));
    assert_eq!(event.trace, None);
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_before_anything_is_queued() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let mut events = api.events().await;
    let send = |body: serde_json::Value| api.send(Call::post("/v1/events").key(&key).json(&body));
    let unknown = send(json!({"type": "user.created", "data": {}})).await.problem(422);
    assert_eq!(unknown["type"], "urn:whimbrel:problem:unknown_type");
    assert_eq!(unknown["errors"][0]["pointer"], "/type");
    send(json!({"type": "a b", "data": {}})).await.problem(422);
    send(json!({"type": "webhook.test", "data": {}})).await.problem(422);
    send(json!({"type": "customer.created", "data": "x".repeat(65_536)})).await.problem(413);
    for at in ["2025-12-01T00:00:00Z", "2026-01-17T00:00:00Z"] {
        let problem = send(json!({"type": "customer.created", "data": {}, "occurred_at": at})).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/occurred_at");
    }
    let admin = Call::post("/v1/events").key(ADMIN).with("whimbrel-tenant", "nobody");
    api.send(admin.json(&json!({"type": "a.b", "data": {}}))).await.problem(404);
    let marker = send(json!({"type": "customer.created", "data": "x".repeat(65_534)})).await.expect(202);
    assert_eq!(marker["id"], events.next().await.event_id().to_string(), "nothing was queued before");
}

#[tokio::test]
async fn rule_06_a_repeat_under_the_same_key_is_published_under_the_same_id() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut events = api.events().await;
    let body = json!({"type": "user.created", "data": {"n": 1}});
    let send = |body: &serde_json::Value| {
        api.send(Call::post("/v1/events").key(&key).with("idempotency-key", "k-1").json(body))
    };
    let first = send(&body).await.expect(202);
    let again = send(&body).await.expect(202);
    assert_eq!(first["id"], again["id"]);
    for _ in 0..2 {
        assert_eq!(first["id"], events.next().await.event_id().to_string());
    }
    for other in [json!({"type": "user.created", "data": {"n": 2}}), json!({"type": "user.updated", "data": {"n": 1}})]
    {
        let conflict = send(&other).await.problem(409);
        assert_eq!(conflict["type"], "urn:whimbrel:problem:idempotency_conflict");
    }
    api.clock.advance_ms(7 * 24 * 3_600_000 + 1);
    assert_ne!(send(&body).await.expect(202)["id"], first["id"], "after seven days the key is free");
}

#[tokio::test]
async fn rule_06_keys_are_a_tenants_own() {
    let api = Api::start().await;
    let (acme, other) = (api.tenant("acme", "generic").await, api.tenant("other", "generic").await);
    let send = |key: &str, n: u32| {
        let body = json!({"type": "user.created", "data": n});
        api.send(Call::post("/v1/events").key(key).with("idempotency-key", "same").json(&body))
    };
    let first = send(&acme, 1).await.expect(202);
    assert_ne!(first["id"], send(&other, 2).await.expect(202)["id"]);
}

#[tokio::test]
async fn an_unusable_idempotency_key_is_400() {
    let api = Api::start().await;
    let body = json!({"type": "user.created", "data": 1});
    for key in ["", &"k".repeat(1_025)] {
        api.send(Call::post("/v1/events").key(ADMIN).with("idempotency-key", key).json(&body)).await.problem(400);
    }
    let twice = Call::post("/v1/events").key(ADMIN).with("idempotency-key", "a").with("idempotency-key", "b");
    api.send(twice.json(&body)).await.problem(400);
}

#[tokio::test]
async fn a_cloud_event_is_accepted_with_its_own_identity_as_the_key() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let mut events = api.events().await;
    let cloud = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"7","source":"/billing","type":"user.created","time":"2026-01-15T11:00:00Z",
                "datacontenttype":"application/json","subject":"x","data": {data}}}"#
        )
    };
    let send = |body: String| api.send(Call::post("/v1/events").key(&key).raw("application/cloudevents+json", &body));
    let first = send(cloud(r#"{"n" :1.0}"#)).await.expect(202);
    let event = events.next().await;
    assert_eq!(event.data, br#"{"n" :1.0}"#.as_slice());
    assert_eq!(event.occurred_at_us, (NOW_MS - 3_600_000) * 1_000);
    assert_eq!(send(cloud(r#"{"n" :1.0}"#)).await.expect(202)["id"], first["id"]);
    send(cloud("2")).await.problem(409);
    let body = cloud("2");
    let call =
        Call::post("/v1/events").key(&key).with("idempotency-key", "own").raw("application/cloudevents+json", &body);
    assert_ne!(api.send(call).await.expect(202)["id"], first["id"], "the header's key prevails");
}

#[tokio::test]
async fn rule_34_binary_cloud_events_are_refused() {
    let api = Api::start().await;
    let body = r#"{"specversion":"1.0","id":"7","source":"/b","type":"user.created","data_base64":"AAAA"}"#;
    let problem =
        api.send(Call::post("/v1/events").key(ADMIN).raw("application/cloudevents+json", body)).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/data_base64");
    let call = Call::post("/v1/events").key(ADMIN).raw("application/cloudevents+json", "{");
    api.send(call).await.problem(400);
}

#[tokio::test]
async fn stored_events_are_listed_and_shown_with_their_data() {
    let api = Api::start().await;
    let key = api.tenant("acme", "standard").await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(api.stored_event("acme", "user.created", &format!(r#"{{"n" : {n}.0}}"#), &[]).await.to_string());
        api.clock.advance_ms(1);
    }
    ids.reverse();
    let page = api.send(Call::get("/v1/events?limit=2").key(&key)).await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = api.send(Call::get(&format!("/v1/events?limit=2&cursor={cursor}")).key(&key)).await.expect(200);
    let listed: Vec<&str> = [&page, &rest]
        .iter()
        .flat_map(|page| page["events"].as_array().unwrap())
        .map(|e| e["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ids);
    assert_eq!(rest["next_cursor"], json!(null));

    let answer = api.send(Call::get(&format!("/v1/events/{}", ids[0])).key(&key)).await;
    assert!(answer.text().contains(r#""data":{"n" : 2.0}"#), "{}", answer.text());
    let event = answer.expect(200);
    assert_eq!((&event["type"], &event["deliveries"]), (&json!("user.created"), &json!([])));
}
