//! Suspension: by the contract's rule, with a notice; what comes later is held.

use reqwest::Method;
use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{SOON, System, on_both_engines};

const ORDER: &str = r#"{"id":"order_1"}"#;

on_both_engines! {
    /// Ten failed attempts in a row over three deliveries; then nothing is sent and new events are held.
    async fn ten_failures_across_three_deliveries_suspend_a_bitbybit_endpoint(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(500)]);
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.002")]).await?;
        let api = system.api.create_tenant("bits", "bitbybit").await?;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        for _ in 0..3 {
            api.publish("order.created", ORDER).await?;
        }
        wait::until("the endpoint is suspended", SOON, || async {
            let shown = api.get(&format!("/v1/webhooks/{webhook}")).await.ok()?;
            (shown["status"] == "suspended").then_some(())
        })
        .await?;
        let late = api.publish("order.created", ORDER).await?;
        api.settled(&late, "held").await?;
        wait::until("the three are held, too", SOON, || async {
            let statuses = api.statuses(&webhook).await.ok()?;
            (statuses.len() == 4 && statuses.iter().all(|status| status == "held")).then_some(())
        })
        .await?;
        // Attempts under way when the tenth failed may still have ended: three deliveries, at most two more.
        assert!((10..=12).contains(&receiver.count()), "{}", receiver.count());
    }

    /// Nine failures and a success leave it active; the count begins again.
    async fn nine_failures_and_a_success_do_not(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise((0..9).map(|_| Step::status(500)).chain([Step::status(200)]).chain((0..9).map(|_| Step::status(500))).chain([Step::status(200)]));
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.00001")]).await?;
        let api = system.api.create_tenant("bits", "bitbybit").await?;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        for expected in ["failed", "success", "failed", "success"] {
            let event = api.publish("order.created", ORDER).await?;
            api.settled(&event, expected).await?;
        }
        assert_eq!(receiver.count(), 20);
        assert_eq!(api.get(&format!("/v1/webhooks/{webhook}")).await?["status"], "active");
    }

    /// Activation zeroes the count (rule 9), and events flow again.
    async fn rule_09_activation_starts_afresh(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise((0..10).map(|_| Step::status(500)).chain([Step::status(200)]));
        let system = System::with(kind, &[("WHIMBREL_RETRY_SCALE", "0.00001")]).await?;
        let api = system.api.create_tenant("bits", "bitbybit").await?;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        for _ in 0..2 {
            let event = api.publish("order.created", ORDER).await?;
            api.settled(&event, "failed").await?;
        }
        let path = format!("/v1/webhooks/{webhook}");
        assert_eq!(api.get(&path).await?["status"], "suspended");
        api.ok(Method::POST, &format!("{path}/activate"), None).await?;
        let event = api.publish("order.created", ORDER).await?;
        api.settled(&event, "success").await?;
        assert_eq!(api.get(&path).await?["status"], "active");
    }

    /// Rule 12: 410 under the standard contract fails this delivery, suspends the endpoint as gone, and the
    /// others are held; disabled by its owner, new events make no deliveries.
    async fn rule_12_gone_and_disabled(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(410)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let gone = api.publish("order.created", ORDER).await?;
        api.settled(&gone, "failed").await?;
        let path = format!("/v1/webhooks/{webhook}");
        wait::until("suspended", SOON, || async {
            (api.get(&path).await.ok()?["status"] == "suspended").then_some(())
        })
        .await?;
        let late = api.publish("order.created", ORDER).await?;
        api.settled(&late, "held").await?;
        api.ok(Method::PATCH, &path, Some(&json!({"active": false}))).await?;
        let nobody = api.publish("order.created", ORDER).await?;
        // The endpoints are those of the moment of fan-out, and the answer to a publish does not wait for it.
        wait::until("the event is fanned out", SOON, || async {
            api.get(&format!("/v1/events/{nobody}")).await.ok()
        })
        .await?;
        let (other, _) = api.create_webhook(&receiver.url("/other"), &["order.created"]).await?;
        let marker = api.publish("order.created", ORDER).await?;
        let delivery = api.settled(&marker, "failed").await?;
        assert_eq!(delivery["webhook_id"], other.as_str(), "{delivery}");
        let event = api.get(&format!("/v1/events/{nobody}")).await?;
        assert_eq!(event["deliveries"], json!([]));
        assert_eq!(receiver.count(), 2);
    }
}
