//! Replay: past deliveries again, by time, status and type; one event to one endpoint; stopped on request.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{Api, SOON, System, on_both_engines, text};

async fn replay(api: &Api, webhook: &str, body: &Value) -> Result<Value> {
    api.post(&format!("/v1/webhooks/{webhook}/replay"), body).await
}

async fn ended(api: &Api, replay: &Value) -> Result<Value> {
    let path = format!("/v1/replays/{}", text(replay, "id")?);
    wait::until("the replay has ended", SOON, || async {
        let replay = api.get(&path).await.ok()?;
        (replay["status"] != "running").then_some(replay)
    })
    .await
}

/// Waits until this many of the webhook's deliveries have succeeded.
async fn succeeded(api: &Api, webhook: &str, count: usize) -> Result<()> {
    wait::until("so many have succeeded", SOON, || async {
        let statuses = api.statuses(webhook).await.ok()?;
        (statuses.iter().filter(|status| *status == "success").count() == count).then_some(())
    })
    .await
}

on_both_engines! {
    /// Failed deliveries of one type go out again under the same event ids, the others do not.
    async fn failed_deliveries_of_a_type_go_out_again(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise((0..30).map(|_| Step::status(500)).chain([Step::status(200)]));
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.00001")]).await?;
        let api = system.api.create_tenant("acme", "generic").await?;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let mut failed = Vec::new();
        for place in 0..6 {
            let event = api.publish(if place % 2 == 0 { "order.created" } else { "order.paid" }, "{}").await?;
            api.settled(&event, "failed").await?;
            failed.push(event);
        }
        let fine = api.publish("order.created", "{}").await?;
        api.settled(&fine, "success").await?;
        let before = receiver.count();
        let answer = replay(&api, &webhook, &json!({"since": "2020-01-01T00:00:00Z", "event_types": ["order.created"]})).await?;
        let last = ended(&api, &answer).await?;
        assert_eq!((&last["status"], &last["total"], &last["started"]), (&json!("done"), &json!(3), &json!(3)), "{last}");
        succeeded(&api, &webhook, 4).await?;
        let mut again: Vec<String> = receiver.requests()[before..].iter().map(|request| request.json()["id"].as_str().unwrap_or_default().to_owned()).collect();
        let mut wanted = [0, 2, 4].map(|place: usize| failed[place].clone());
        again.sort();
        wanted.sort();
        assert_eq!(again, wanted, "under their own ids");
        let answer = replay(&api, &webhook, &json!({"since": "2020-01-01T00:00:00Z", "status": "all"})).await?;
        assert_eq!(ended(&api, &answer).await?["total"], 7);
        succeeded(&api, &webhook, 7).await?;
        assert_eq!(receiver.count(), before + 3 + 7);
    }

    /// One event to one endpoint, even to one that was made later.
    async fn one_event_goes_to_one_endpoint(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let api = &system.api;
        let (first, _) = api.create_webhook(&receiver.url("/first"), &["*"]).await?;
        let event = api.publish("order.created", r#"{"n":1}"#).await?;
        api.settled(&event, "success").await?;
        let (later, _) = api.create_webhook(&receiver.url("/later"), &["other.*"]).await?;
        for webhook in [&first, &later] {
            replay(api, webhook, &json!({"event_id": event})).await?;
        }
        receiver.wait_for(3, SOON).await?;
        let mut seen: Vec<_> = receiver.requests().iter().map(|request| (request.path().to_owned(), request.header("webhook-id").map(str::to_owned), request.body.clone())).collect();
        seen.sort();
        assert_eq!(seen[0], seen[1], "the first endpoint got the same twice");
        assert_eq!(seen[2].0, "/later");
        assert_eq!((&seen[2].1, &seen[2].2), (&seen[0].1, &seen[0].2), "the same id and bytes");
        let (status, _) = api.call(Method::POST, &format!("/v1/webhooks/{first}/replay"), Some(&json!({"event_id": "evt_00000000000000000000000000"}))).await?;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    /// A replay goes on where a killed tracker left it, and stops when told to.
    async fn a_replay_survives_a_kill_and_can_be_cancelled(kind: Kind) {
        let receiver = Receiver::start().await?;
        let mut system = System::with(kind, &[("WHIMBREL_TRACKER__WINDOW", "10")]).await?;
        let api = system.api.clone();
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        api.publish_many("order.created", 600).await?;
        receiver.wait_for(600, SOON).await?;
        succeeded(&api, &webhook, 600).await?;
        let answer = replay(&api, &webhook, &json!({"since": "2020-01-01T00:00:00Z", "status": "all"})).await?;
        receiver.wait_for(700, SOON).await?;
        let tracker = system.role("tracker");
        tracker.kill9().await;
        tracker.start_again()?;
        tracker.ready(SOON).await?;
        let last = ended(&api, &answer).await?;
        assert_eq!((&last["status"], &last["started"]), (&json!("done"), &json!(600)), "{last}");
        succeeded(&api, &webhook, 600).await?;
        let before = receiver.count();
        let answer = replay(&api, &webhook, &json!({"since": "2020-01-01T00:00:00Z", "status": "all"})).await?;
        receiver.wait_for(before + 20, SOON).await?;
        let cancelled = api.ok(Method::DELETE, &format!("/v1/replays/{}", text(&answer, "id")?), None).await?;
        assert_eq!(cancelled["status"], "cancelled");
        let started = usize::try_from(cancelled["started"].as_u64().unwrap_or_default())?;
        assert!(started < 600, "{cancelled}");
        succeeded(&api, &webhook, 600).await?;
        assert!(receiver.count() <= before + started, "what was not taken is not sent");
    }
}
