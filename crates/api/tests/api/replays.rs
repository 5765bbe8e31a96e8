//! Replays, releases and drops (rule 8). The tracker's part is played by the test.

use serde_json::{Value, json};
use whimbrel_core::port::Advance;
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind};
use whimbrel_core::{DeliveryId, ReplayId};

use crate::support::{Api, Call, Reply};

const FAILED: [Reply; 5] = [
    Reply::Status(500, b""),
    Reply::Status(500, b""),
    Reply::Status(500, b""),
    Reply::Status(500, b""),
    Reply::Status(500, b""),
];

/// A tenant with a webhook.
struct Owner {
    key: String,
    webhook: String,
}

impl Owner {
    async fn new(api: &Api, tenant: &str) -> Self {
        let key = api.tenant(tenant, "generic").await;
        let made = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
        Self { key, webhook: made["id"].as_str().unwrap().to_owned() }
    }

    fn post(&self, action: &str, body: &Value) -> Call {
        Call::post(&format!("/v1/webhooks/{}/{action}", self.webhook)).key(&self.key).json(body)
    }

    fn active(&self, active: bool) -> Call {
        let path = format!("/v1/webhooks/{}", self.webhook);
        Call::new("PATCH", &path).key(&self.key).json(&json!({ "active": active }))
    }

    fn get(&self, path: &str) -> Call {
        Call::get(path).key(&self.key)
    }

    /// A disabled webhook with so many held deliveries.
    async fn held(&self, api: &Api, count: usize) -> Vec<DeliveryId> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(api.held(&self.webhook).await);
            api.clock.advance_ms(1);
        }
        api.send(self.active(false)).await.expect(200);
        held
    }

    async fn replays(&self, api: &Api) -> Vec<Value> {
        api.send(self.get("/v1/replays")).await.expect(200)["replays"].as_array().unwrap().clone()
    }
}

async fn status(api: &Api, owner: &Owner, delivery: DeliveryId) -> Value {
    api.send(owner.get(&format!("/v1/deliveries/{delivery}"))).await.expect(200)["status"].clone()
}

async fn advance(api: &Api, replay: &Value, window: u32) -> Advance {
    let id: ReplayId = replay["id"].as_str().unwrap().parse().unwrap();
    let now = api.state.clock.now();
    api.state.store.advance_replay(id, window, now, now).await.unwrap()
}

#[tokio::test]
async fn past_failures_of_a_range_are_replayed() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let failed = api.delivered(&owner.webhook, &FAILED).await;
    api.clock.advance_ms(60_000);
    let good = api.delivered(&owner.webhook, &[Reply::Status(200, b"")]).await;
    api.delivered(&owner.webhook, &[Reply::Status(500, b"")]).await;
    api.clock.advance_ms(60_000);

    let started = api.send(owner.post("replay", &json!({"since": "2026-01-15T11:00:00Z"}))).await.expect(202);
    assert_eq!((&started["kind"], &started["status"]), (&json!("replay"), &json!("running")));
    assert_eq!((&started["total"], &started["started"]), (&json!(1), &json!(0)), "what still retries is left alone");
    assert_eq!(
        (&started["since"], &started["until"]),
        (&json!("2026-01-15T11:00:00Z"), &json!("2026-01-15T12:02:00Z"))
    );
    assert_eq!((&started["only_failed"], &started["event_types"]), (&json!(true), &json!([])));
    assert_eq!((&started["webhook_id"], &started["finished_at"]), (&json!(owner.webhook), &json!(null)));
    assert_eq!(started["created_at"], "2026-01-15T12:02:00Z");

    let taken = advance(&api, &started, 10).await.taken;
    assert_eq!(taken.iter().map(|delivery| (delivery.id, delivery.round)).collect::<Vec<_>>(), [(failed, 2)]);
    let path = format!("/v1/replays/{}", started["id"].as_str().unwrap());
    assert_eq!(api.send(owner.get(&path)).await.expect(200)["started"], 1);
    assert_eq!(status(&api, &owner, failed).await, "pending");
    assert_eq!(status(&api, &owner, good).await, "success");
}

#[tokio::test]
async fn a_range_is_narrowed_by_status_type_and_time() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    api.delivered(&owner.webhook, &FAILED).await;
    api.clock.advance_ms(60_000);
    api.delivered(&owner.webhook, &[Reply::Status(200, b"")]).await;
    api.clock.advance_ms(1);
    for (body, total) in [
        (json!({"since": "2026-01-15T11:00:00Z", "status": "all"}), 2),
        (json!({"since": "2026-01-15T11:00:00Z", "status": "all", "until": "2099-01-01T00:00:00Z"}), 2),
        (json!({"since": "2026-01-15T12:00:30Z", "status": "all"}), 1),
        (json!({"since": "2026-01-15T11:00:00Z", "status": "all", "until": "2026-01-15T12:00:30Z"}), 1),
        (json!({"since": "2026-01-15T12:00:30Z", "status": "failed"}), 0),
        (json!({"since": "2026-01-15T11:00:00Z", "event_types": ["user.created", "user.deleted"]}), 1),
        (json!({"since": "2026-01-15T11:00:00Z", "event_types": ["user.deleted"]}), 0),
    ] {
        let started = api.send(owner.post("replay", &body)).await.expect(202);
        assert_eq!(started["total"], total, "{body}");
        assert!(started["until"].as_str().unwrap() <= "2026-01-15T12:01:00.001Z", "until is now at most: {started}");
    }
}

#[tokio::test]
async fn exactly_one_of_the_two_forms_is_taken() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let event = "evt_01jb3h2k9fe8yaw3cvj6s5n7qt";
    let many = vec!["user.created"; 101];
    for (body, pointer) in [
        (json!({}), "/since"),
        (json!({"status": "all"}), "/since"),
        (json!({"since": "2026-01-15T11:00:00Z", "event_id": event}), "/since"),
        (json!({"event_id": event, "status": "all"}), "/status"),
        (json!({"event_id": event, "until": "2026-01-15T11:00:00Z"}), "/until"),
        (json!({"event_id": event, "event_types": []}), "/event_types"),
        (json!({"event_id": "evt_1"}), "/event_id"),
        (json!({"since": "yesterday"}), "/since"),
        (json!({"since": "2026-01-15T12:00:00Z"}), "/since"),
        (json!({"since": "2027-01-01T00:00:00Z"}), "/since"),
        (json!({"since": "2026-01-15T11:00:00Z", "until": "2026-01-15T10:00:00Z"}), "/since"),
        (json!({"since": "2026-01-15T11:00:00Z", "status": "held"}), "/status"),
        (json!({"since": "2026-01-15T11:00:00Z", "event_types": ["a b"]}), "/event_types/0"),
        (json!({"since": "2026-01-15T11:00:00Z", "event_types": many}), "/event_types"),
        (json!({"since": "2026-01-15T11:00:00Z", "window": 3}), "/window"),
    ] {
        let problem = api.send(owner.post("replay", &body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    assert_eq!(owner.replays(&api).await, [json!(null); 0]);
}

#[tokio::test]
async fn one_event_goes_to_one_webhook_again() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let delivery = api.delivered(&owner.webhook, &[Reply::Status(200, b"")]).await;
    let event = api.send(owner.get(&format!("/v1/deliveries/{delivery}"))).await.expect(200)["event_id"].clone();
    let again = || api.send(owner.post("replay", &json!({ "event_id": event })));
    let started = again().await.expect(202);
    let expected = json!({
        "delivery_id": delivery, "event_id": event, "webhook_id": owner.webhook, "status": "pending", "attempt": 2,
    });
    assert_eq!(started, expected);
    let problem = again().await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("on its way"), "{problem}");
    api.send(owner.active(false)).await.expect(200);
    let problem = again().await.problem(409);
    assert!(problem["detail"].as_str().unwrap().contains("activate it"), "{problem}");
    let unknown = json!({"event_id": "evt_01jb3h2k9fe8yaw3cvj6s5n7qt"});
    api.send(owner.post("replay", &unknown)).await.problem(404);
}

#[tokio::test]
async fn an_event_goes_to_a_webhook_that_never_asked_for_it_but_not_to_anothers() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let other = Owner::new(&api, "other").await;
    let event = api.stored_event("acme", "user.created", "{}", &[]).await;
    let body = json!({ "event_id": event });
    let started = api.send(owner.post("replay", &body)).await.expect(202);
    let delivery = DeliveryId::of(event, owner.webhook.parse().unwrap());
    assert_eq!((&started["delivery_id"], &started["attempt"]), (&json!(delivery), &json!(1)));
    assert_eq!(status(&api, &owner, delivery).await, "pending");
    api.send(other.post("replay", &body)).await.problem(404);
    let mixed = Owner { key: other.key, webhook: owner.webhook };
    api.send(mixed.post("replay", &body)).await.problem(404);
    api.send(mixed.post("replay", &json!({"since": "2026-01-15T11:00:00Z"}))).await.problem(404);
}

#[tokio::test]
async fn rule_08_activation_releases_what_is_held() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let held = owner.held(&api, 3).await;
    let activated = api.send(owner.post("activate", &json!({}))).await.expect(200);
    assert_eq!((&activated["status"], &activated["id"]), (&json!("active"), &json!(owner.webhook)));
    let release = &activated["replay"];
    assert_eq!(
        (&release["kind"], &release["total"], &release["status"]),
        (&json!("release"), &json!(3), &json!("running"))
    );
    let step = advance(&api, release, 2).await;
    assert_eq!(step.taken.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), held[..2]);
    assert_eq!(status(&api, &owner, held[0]).await, "pending");
    assert_eq!(status(&api, &owner, held[2]).await, "held");

    let again = api.send(owner.post("activate", &json!({"held": "release"}))).await.expect(200);
    assert_eq!(again["replay"]["id"], release["id"], "one release runs at a time");
    assert_eq!(again["replay"]["started"], 2);
}

#[tokio::test]
async fn rule_12_active_true_is_an_activation_with_release() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    owner.held(&api, 1).await;
    assert_eq!(owner.replays(&api).await.len(), 0);
    api.send(owner.active(true)).await.expect(200);
    let replays = owner.replays(&api).await;
    assert_eq!(replays.len(), 1);
    assert_eq!((&replays[0]["kind"], &replays[0]["total"]), (&json!("release"), &json!(1)));
    api.send(owner.active(true)).await.expect(200);
    assert_eq!(owner.replays(&api).await.len(), 1, "it was active already");
}

#[tokio::test]
async fn what_is_held_is_dropped_on_request() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let held = owner.held(&api, 3).await;
    let activated = api.send(owner.post("activate", &json!({"held": "drop"}))).await.expect(200);
    assert_eq!(activated["status"], "active");
    let drop = &activated["replay"];
    assert_eq!((&drop["kind"], &drop["total"]), (&json!("drop"), &json!(3)));
    assert_eq!(drop["until"], "2026-01-15T12:00:00.003Z");
    assert_eq!(advance(&api, drop, 10).await.taken, []);
    for delivery in held {
        assert_eq!(status(&api, &owner, delivery).await, "cancelled");
    }
    advance(&api, drop, 10).await;
    let ended = api.send(owner.get(&format!("/v1/replays/{}", drop["id"].as_str().unwrap()))).await.expect(200);
    assert_eq!((&ended["status"], &ended["started"]), (&json!("done"), &json!(3)));
    assert!(ended["finished_at"].is_string());
}

#[tokio::test]
async fn a_drop_ends_a_release_and_a_drop_that_reached_less_far() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    owner.held(&api, 1).await;
    let release = api.send(owner.post("activate", &json!({}))).await.expect(200)["replay"].clone();
    let first = api.send(owner.post("activate", &json!({"held": "drop"}))).await.expect(200)["replay"].clone();
    api.clock.advance_ms(1);
    let second = api.send(owner.post("activate", &json!({"held": "drop"}))).await.expect(200)["replay"].clone();
    assert_ne!(first["id"], second["id"]);
    let state = |replay: &Value| api.send(owner.get(&format!("/v1/replays/{}", replay["id"].as_str().unwrap())));
    assert_eq!(state(&release).await.expect(200)["status"], "cancelled");
    assert_eq!(state(&first).await.expect(200)["status"], "cancelled");
    assert_eq!(state(&second).await.expect(200)["status"], "running");
}

#[tokio::test]
async fn activation_takes_no_other_body() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let path = format!("/v1/webhooks/{}/activate", owner.webhook);
    for (body, pointer) in [(json!({"held": "keep"}), "/held"), (json!({"hold": "drop"}), "/hold"), (json!([]), "")] {
        let problem = api.send(Call::post(&path).key(&owner.key).json(&body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    api.send(Call::post(&path).key(&owner.key).raw("text/plain", "drop")).await.problem(415);
    api.send(Call::post(&path).key(&owner.key)).await.expect(200);
    let unknown = "/v1/webhooks/hook_01jb3h2k9fe8yaw3cvj6s5n7qt/activate";
    api.send(Call::post(unknown).key(&owner.key).json(&json!({"held": "drop"}))).await.problem(404);
}

#[tokio::test]
async fn replays_are_listed_newest_first_and_by_webhook() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let other = api.webhook(&owner.key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let second = Owner { key: owner.key.clone(), webhook: other["id"].as_str().unwrap().to_owned() };
    let mut made = Vec::new();
    for owner in [&owner, &second, &owner] {
        let body = json!({"since": "2026-01-15T11:00:00Z"});
        made.insert(0, api.send(owner.post("replay", &body)).await.expect(202)["id"].clone());
        api.clock.advance_ms(1);
    }
    let ids = |page: &Value| {
        page["replays"].as_array().unwrap().iter().map(|replay| replay["id"].clone()).collect::<Vec<_>>()
    };
    let page = api.send(owner.get("/v1/replays?limit=2")).await.expect(200);
    assert_eq!(ids(&page), made[..2]);
    let rest = format!("/v1/replays?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let page = api.send(owner.get(&rest)).await.expect(200);
    assert_eq!((ids(&page), &page["next_cursor"]), (made[2..].to_vec(), &json!(null)));
    let page = api.send(owner.get(&format!("/v1/replays?webhook_id={}", second.webhook))).await.expect(200);
    assert_eq!(ids(&page), made[1..2]);
    for query in ["webhook_id=7", "cursor=hook_01jb3h2k9fe8yaw3cvj6s5n7qt", "limit=0", "status=done"] {
        api.send(owner.get(&format!("/v1/replays?{query}"))).await.problem(400);
    }
}

#[tokio::test]
async fn a_replay_is_cancelled_once_and_its_own_tenants_only() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let other = Owner::new(&api, "other").await;
    let failed = api.delivered(&owner.webhook, &FAILED).await;
    api.clock.advance_ms(1);
    let started = api.send(owner.post("replay", &json!({"since": "2026-01-15T11:00:00Z"}))).await.expect(202);
    let path = format!("/v1/replays/{}", started["id"].as_str().unwrap());
    api.send(other.get(&path)).await.problem(404);
    api.send(Call::new("DELETE", &path).key(&other.key)).await.problem(404);
    assert_eq!(other.replays(&api).await, [json!(null); 0]);
    let by_webhook = format!("/v1/replays?webhook_id={}", owner.webhook);
    assert_eq!(api.send(other.get(&by_webhook)).await.expect(200)["replays"], json!([]));

    let cancel = || api.send(Call::new("DELETE", &path).key(&owner.key));
    let cancelled = cancel().await.expect(200);
    assert_eq!((&cancelled["status"], &cancelled["started"]), (&json!("cancelled"), &json!(0)));
    assert!(cancelled["finished_at"].is_string());
    assert_eq!(advance(&api, &started, 10).await.taken, []);
    assert_eq!(status(&api, &owner, failed).await, "failed");
    assert_eq!(cancel().await.expect(200), cancelled);
    api.send(Call::new("DELETE", "/v1/replays/rpl_01jb3h2k9fe8yaw3cvj6s5n7qt").key(&owner.key)).await.problem(404);
}

#[tokio::test]
async fn what_the_tracker_began_on_its_own_account_is_not_shown() {
    let api = Api::start().await;
    let owner = Owner::new(&api, "acme").await;
    let now = api.state.clock.now();
    let id = ReplayId::generate(now, api.state.clock.random10());
    let endpoint = owner.webhook.parse().unwrap();
    let filter = ReplayFilter::default();
    let deferred = Replay::new(id, "acme".parse().unwrap(), endpoint, ReplayKind::Deferred, filter, now);
    assert!(api.state.store.start_replay(&deferred).await.unwrap().is_some());
    api.send(owner.get(&format!("/v1/replays/{id}"))).await.problem(404);
    api.send(Call::new("DELETE", &format!("/v1/replays/{id}")).key(&owner.key)).await.problem(404);
    assert_eq!(owner.replays(&api).await, [json!(null); 0]);
}
