//! A tenant's key reaches nothing of another's, on every route there is.

use serde_json::{Value, json};

use crate::support::{ADMIN, Api, Call, Reply, Route, every_route, routes};

/// What the other tenant owns.
struct Owned {
    webhook: String,
    event: String,
    delivery: String,
    replay: String,
    key: String,
}

async fn owned(api: &Api, key: &str) -> Owned {
    let hook = api
        .webhook(key, json!({"url": "https://victim.example", "events": ["*"], "description": "of the victim"}))
        .await;
    let webhook = hook["id"].as_str().unwrap().to_owned();
    let delivery = api.delivered(&webhook, &[Reply::Status(500, b"of the victim")]).await.to_string();
    let one = api.send(Call::get(&format!("/v1/deliveries/{delivery}")).key(key)).await.expect(200);
    let replay = Call::post(&format!("/v1/webhooks/{webhook}/replay")).key(key);
    let replay = api.send(replay.json(&json!({"since": "2026-01-15T00:00:00Z"}))).await.expect(202);
    let described = Call::new("PUT", "/v1/event-types/user.created").key(key);
    api.send(described.json(&json!({"description": "of the victim"}))).await.expect(200);
    let keys = api.send(Call::get("/v1/tenants/victim/keys").key(ADMIN)).await.expect(200);
    Owned {
        webhook,
        event: one["event_id"].as_str().unwrap().to_owned(),
        delivery,
        replay: replay["id"].as_str().unwrap().to_owned(),
        key: keys["keys"][0]["id"].as_str().unwrap().to_owned(),
    }
}

/// The address of the other's thing on this route. A new kind of thing needs a line here.
fn aimed(route: &Route, owned: &Owned) -> String {
    let named = match route.collection() {
        "webhooks" => &owned.webhook,
        "events" => &owned.event,
        "deliveries" => &owned.delivery,
        "replays" => &owned.replay,
        "keys" => &owned.key,
        "tenants" => "victim",
        // Of no tenant.
        "parking" => "prk_01jb3h2k9fe8yaw3cvj6s5n7qt",
        "event-types" => "user.created",
        other => {
            assert!(!route.template.contains('{'), "nothing of the kind `{other}` is owned by the victim");
            ""
        }
    };
    route.path(named)
}

/// What is tried on every route: the smallest body that it takes, and some that name the victim.
fn bodies(route: &Route) -> [Value; 3] {
    let named = json!({"tenant": "victim", "type": "user.created", "data": 1});
    [route.body.clone(), json!({"active": false}), named]
}

#[tokio::test]
async fn no_route_lets_a_tenants_key_reach_anothers() {
    let api = Api::start().await;
    let victim = api.tenant("victim", "generic").await;
    let thief = api.tenant("thief", "generic").await;
    let owned = owned(&api, &victim).await;
    let before = everything(&api, &victim, &owned).await;
    for route in routes() {
        let (method, path) = (&route.method, aimed(&route, &owned));
        for (place, body) in bodies(&route).iter().enumerate() {
            let answer = api.send(Call::new(method, &path).key(&thief).json(body)).await;
            let text = answer.text();
            assert!(!text.contains("of the victim") && !text.contains("victim.example"), "{method} {path}: {text}");
            if route.has_id() {
                // A body of another route's may be refused before anything is looked for; the route's own is not.
                let unreached: &[u16] = if place == 0 { &[403, 404] } else { &[403, 404, 422] };
                assert!(unreached.contains(&answer.status), "{method} {path} answered {}: {text}", answer.status);
            }
            let named = Call::new(method, &path).key(&thief).with("whimbrel-tenant", "victim").json(body);
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
        "/v1/replays".to_owned(),
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
    for (path, list, cursor) in [
        ("/v1/webhooks", "webhooks", &owned.webhook),
        ("/v1/events", "events", &owned.event),
        ("/v1/replays", "replays", &owned.replay),
    ] {
        for cursor in [String::new(), format!("?cursor={cursor}")] {
            let page = api.send(Call::get(&format!("{path}{cursor}")).key(&thief)).await.expect(200);
            assert_eq!(page[list], json!([]));
        }
    }
}

#[test]
fn every_route_is_known_here() {
    assert_eq!(every_route().len(), routes().len());
    assert!(every_route().len() >= 41, "{}", every_route().len());
}
