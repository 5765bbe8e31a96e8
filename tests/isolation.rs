//! One endpoint's trouble is nobody else's: a hanging one gets probes, and the others what they are due.

use std::time::Duration;

use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{SOON, System, on_both_engines, text};

/// Longer than any attempt may take here.
const NEVER: Duration = Duration::from_mins(10);

on_both_engines! {
    /// Rule 17: ten times the traffic to an endpoint that never answers. The healthy one is served meanwhile; the hanging
    /// one is asked with few probes, and gets everything once it answers.
    async fn rule_17_a_hanging_endpoint_gets_probes_and_holds_up_nobody(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/hanging", [Step::status(200).after(NEVER)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        let hanging = api.post("/v1/webhooks", &json!({"url": receiver.url("/hanging"), "events": ["hanging.*"], "timeout": "1s", "in_flight_max": 20, "retry_schedule": vec!["5s"; 20]})).await?;
        let hanging = text(&hanging, "id")?;
        let (healthy, _) = api.create_webhook(&receiver.url("/healthy"), &["healthy.*"]).await?;
        let asked = || receiver.requests().iter().filter(|request| request.path() == "/hanging").count();
        api.publish_many("hanging.event", 500).await?;
        api.publish_many("healthy.event", 50).await?;
        wait::until("the healthy endpoint has all of its own", SOON, || async {
            (api.count(&healthy, "success").await.ok()? == 50).then_some(())
        }).await?;
        // Two rounds of what may be under way at once, which taught that it hangs; then one at a time.
        receiver.wait_until(|all| all.iter().filter(|request| request.path() == "/hanging").count() >= 21, SOON).await?;
        api.publish_many("healthy.event", 50).await?;
        wait::until("the healthy endpoint has these, too", SOON, || async {
            (api.count(&healthy, "success").await.ok()? == 100).then_some(())
        }).await?;
        assert!(asked() <= 60, "{} POSTs to an endpoint that hangs", asked());
        receiver.on("/hanging", [Step::status(200)]);
        wait::until("the endpoint that answers again has everything", SOON * 3, || async {
            (api.count(&hanging, "success").await.ok()? == 500).then_some(())
        }).await?;
    }
}
