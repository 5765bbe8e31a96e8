//! What Whimbrel itself says: suspensions, activations and given-up deliveries, as notices for upstream and as events
//! for the tenant's endpoints that asked for them by name (rule 11).

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Step};

use crate::harness::{SOON, System, on_both_engines};

on_both_engines! {
    /// The other endpoints that asked hear of it, once each; the suspended one and `*` do not.
    async fn rule_11_a_suspension_and_its_end_are_announced(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/gone", [Step::status(410), Step::status(200)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        let (gone, _) = api.create_webhook(&receiver.url("/gone"), &["order.*", "endpoint.*"]).await?;
        api.create_webhook(&receiver.url("/ops"), &["endpoint.*"]).await?;
        api.create_webhook(&receiver.url("/exact"), &["endpoint.activated"]).await?;
        api.create_webhook(&receiver.url("/star"), &["*"]).await?;
        let event = api.publish("order.created", "{}").await?;
        let heard = receiver.wait_until(|all| all.iter().any(|one| one.path() == "/ops"), SOON).await?;
        let word = heard.iter().find(|one| one.path() == "/ops").map(|one| one.json()).unwrap_or_default();
        assert_eq!((&word["type"], &word["data"]["webhook_id"], &word["data"]["reason"]), (&json!("endpoint.suspended"), &json!(gone), &json!("gone")), "{word}");
        api.ok(Method::POST, &format!("/v1/webhooks/{gone}/activate"), None).await?;
        receiver.wait_until(|all| all.iter().any(|one| one.path() == "/exact"), SOON).await?;
        receiver.wait_until(|all| all.iter().filter(|one| one.path() == "/ops").count() == 2, SOON).await?;
        let marker = api.publish("order.created", r#"{"marker":true}"#).await?;
        receiver.wait_until(|all| ["/gone", "/star"].iter().all(|path| all.iter().any(|one| one.path() == *path && one.header("webhook-id") == Some(&marker))), SOON).await?;
        let types = |path: &str| -> Vec<String> {
            receiver.requests().iter().filter(|one| one.path() == path).map(|one| one.json()["type"].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(types("/ops"), ["endpoint.suspended", "endpoint.activated"]);
        assert_eq!(types("/exact"), ["endpoint.activated"]);
        assert_eq!(types("/star"), ["order.created", "order.created"]);
        assert!(types("/gone").iter().all(|word| word == "order.created"), "{:?}", types("/gone"));
        assert_ne!(event, marker);
    }

    /// A delivery that used up its attempts is spoken of once, to those who asked; and never about such words themselves.
    async fn rule_11_an_exhausted_delivery_is_announced(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/failing", [Step::status(500)]);
        receiver.on("/deaf", [Step::status(500)]);
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.00001")]).await?;
        let api = system.api.create_tenant("acme", "generic").await?;
        let (failing, _) = api.create_webhook(&receiver.url("/failing"), &["order.*"]).await?;
        api.create_webhook(&receiver.url("/ops"), &["delivery.exhausted"]).await?;
        api.create_webhook(&receiver.url("/deaf"), &["delivery.exhausted"]).await?;
        let event = api.publish("order.created", "{}").await?;
        api.settled(&event, "failed").await?;
        let all = receiver.wait_until(|all| all.iter().any(|one| one.path() == "/ops") && all.iter().filter(|one| one.path() == "/deaf").count() == 5, SOON).await?;
        let word = all.iter().find(|one| one.path() == "/ops").map(|one| one.json()).unwrap_or_default();
        assert_eq!((&word["data"]["event_id"], &word["data"]["webhook_id"]), (&json!(event), &json!(failing)), "{word}");
        let marker = api.publish("order.created", "{}").await?;
        api.settled(&marker, "failed").await?;
        receiver.wait_until(|all| all.iter().filter(|one| one.path() == "/deaf").count() == 10, SOON).await?;
        let spoken = receiver.requests().iter().filter(|one| one.path() == "/ops").count();
        assert_eq!(spoken, 2, "one word a delivery, none about words");
    }
}

/// Upstream hears of it on the exchange of notices, through a durable queue of its own.
#[tokio::test(flavor = "multi_thread")]
async fn rule_24_upstream_hears_of_a_suspension() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(410)]);
    let system = System::start(crate::harness::Kind::Distributed).await?;
    let vhost = system.servers.vhost();
    vhost.declare_queue("upstream.notices", &json!({"x-queue-type": "quorum"})).await?;
    vhost.bind("whimbrel.notices", "upstream.notices", "endpoint.suspended").await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    system.api.publish("order.created", "{}").await?;
    vhost.wait_for_depth("upstream.notices", 1, SOON).await?;
    Ok(())
}
