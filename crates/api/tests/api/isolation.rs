//! A tenant's key reaches nothing of another's, on every route there is.

use serde_json::{Value, json};

use crate::support::{Api, Call, Reply, every_route, template_routes};

/// What the other tenant owns.
struct Owned {
    webhook: String,
    event: String,
    delivery: String,
}

async fn owned(api: &Api, key: &str) -> Owned {
    let hook = api
        .webhook(key, json!({"url": "https://victim.example", "events": ["*"], "description": "of the victim"}))
        .await;
    let webhook = hook["id"].as_str().unwrap().to_owned();
    let delivery = api.delivered(&webhook, &[Reply::Status(500, b"of the victim")]).await.to_string();
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(key)).await.expect(200);
    Owned { webhook, event: one["event_id"].as_str().unwrap().to_owned(), delivery }
}

/// The address of the other's thing on this route.
fn aimed(path: &str, owned: &Owned) -> String {
    let id = match path {
        _ if path.starts_with("/v1/webhooks/") => &owned.webhook,
        _ if path.starts_with("/v1/events/") => &owned.event,
        _ if path.starts_with("/v1/deliveries/") => &owned.delivery,
        _ => "victim",
    };
    path.replace("{id}", id)
}

#[tokio::test]
async fn no_route_lets_a_tenants_key_reach_anothers() {
    let api = Api::start().await;
    let victim = api.tenant("victim", "generic").await;
    let thief = api.tenant("thief", "generic").await;
    let owned = owned(&api, &victim).await;
    let before = everything(&api, &victim, &owned).await;
    for (method, template) in template_routes() {
        let path = aimed(&template, &owned);
        for body in
            [json!({}), json!({"active": false}), json!({"tenant": "victim", "type": "user.created", "data": 1})]
        {
            let answer = api.send(Call::new(&method, &path).key(&thief).json(&body)).await;
            let text = answer.text();
            assert!(!text.contains("of the victim") && !text.contains("victim.example"), "{method} {path}: {text}");
            if template.contains("{id}") {
                let unreached = [403, 404, 405, 422];
                assert!(unreached.contains(&answer.status), "{method} {path} answered {}", answer.status);
            }
            let named = Call::new(&method, &path).key(&thief).with("whimbrel-tenant", "victim").json(&body);
            assert_eq!(api.send(named).await.status, 403, "{method} {path} with the victim's header");
        }
    }
    assert_eq!(everything(&api, &victim, &owned).await, before, "nothing of the victim's has changed");
}

/// All that the victim's key sees.
async fn everything(api: &Api, key: &str, owned: &Owned) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "/v1/webhooks".to_owned(),
        format!("/v1/webhooks/{}", owned.webhook),
        format!("/v1/webhooks/{}/deliveries", owned.webhook),
        "/v1/events".to_owned(),
        format!("/v1/events/{}", owned.event),
        format!("/v1/deliveries/{}", owned.delivery),
    ] {
        seen.push(api.send(Call::get(&path).key(key)).await.expect(200));
    }
    seen
}

#[tokio::test]
async fn lists_hold_a_tenants_own_things_only() {
    let api = Api::start().await;
    let victim = api.tenant("victim", "generic").await;
    let thief = api.tenant("thief", "generic").await;
    let owned = owned(&api, &victim).await;
    for (path, list) in [("/v1/webhooks", "webhooks"), ("/v1/events", "events")] {
        for cursor in
            [String::new(), format!("?cursor={}", if list == "events" { &owned.event } else { &owned.webhook })]
        {
            let page = api.send(Call::get(&format!("{path}{cursor}")).key(&thief)).await.expect(200);
            assert_eq!(page[list], json!([]));
        }
    }
}

#[test]
fn every_route_is_known_here() {
    assert_eq!(every_route().len(), template_routes().len());
    assert!(every_route().len() >= 24, "{}", every_route().len());
}
