//! What owners choose per endpoint, and what receivers ask for: headers, timeout, schedule, filter, caps, `Retry-After`,
//! throttling, schemas.

use std::time::Duration;

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{SOON, System, on_both_engines, text};

on_both_engines! {
    /// Custom headers go out and are not shown; the timeout is the endpoint's own; so is the schedule.
    async fn an_endpoint_has_headers_a_timeout_and_a_schedule_of_its_own(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(200).after(Duration::from_secs(5)), Step::status(200)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        let webhook = api.post("/v1/webhooks", &json!({
            "url": receiver.url("/"), "events": ["*"], "timeout": "1s", "retry_schedule": ["5s"],
            "headers": {"Authorization": "Bearer of-the-owner", "X-Owner": "me"},
        })).await?;
        let shown = api.get(&format!("/v1/webhooks/{}", text(&webhook, "id")?)).await?;
        assert!(!shown.to_string().contains("of-the-owner"), "{shown}");
        assert!(shown["headers"].get("Authorization").is_some(), "{shown}");
        let event = api.publish("order.created", "{}").await?;
        let delivery = api.settled(&event, "success").await?;
        let requests = receiver.requests();
        assert_eq!(requests.len(), 2, "{delivery}");
        assert_eq!(requests[0].header("authorization"), Some("Bearer of-the-owner"));
        assert_eq!(requests[0].header("x-owner"), Some("me"));
        let first = &delivery["attempts"][0];
        assert!(first["error"].as_str().unwrap_or_default().starts_with("timeout"), "{first}");
        let gap = requests[1].arrived - requests[0].arrived;
        assert!(gap >= Duration::from_secs(6), "a second's timeout and five seconds' delay: {gap:?}");
    }

    /// With an empty schedule of its own one attempt is all there is.
    async fn an_empty_schedule_means_one_attempt(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(500)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        api.post("/v1/webhooks", &json!({"url": receiver.url("/"), "events": ["*"], "retry_schedule": []})).await?;
        let event = api.publish("order.created", "{}").await?;
        api.settled(&event, "failed").await?;
        assert_eq!(receiver.count(), 1);
    }

    /// A filter looks into the data; the type alone is not enough.
    async fn a_filter_chooses_by_the_data(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let api = &system.api;
        let filter = json!({"all": [{"pointer": "/total", "op": "gt", "value": 100}, {"not": {"pointer": "/country", "op": "in", "value": ["XX", "YY"]}}]});
        api.post("/v1/webhooks", &json!({"url": receiver.url("/large"), "events": ["order.*"], "filter": filter})).await?;
        api.create_webhook(&receiver.url("/all"), &["order.*"]).await?;
        for data in [r#"{"total":100}"#, r#"{"total":101}"#, r#"{"total":500,"country":"XX"}"#, r#"{"total":1e3,"country":"DE"}"#] {
            api.publish("order.created", data).await?;
        }
        wait::until("everyone has got theirs", SOON, || async {
            (receiver.requests().iter().filter(|request| request.path() == "/all").count() == 4).then_some(())
        }).await?;
        receiver.wait_for(6, SOON).await?;
        let mut large: Vec<String> = receiver.requests().iter().filter(|request| request.path() == "/large").map(|request| request.json()["data"]["total"].to_string()).collect();
        large.sort();
        assert_eq!(large, ["1000.0", "101"]);
    }

    /// `Retry-After` lengthens the delay, in seconds or as a date, and never shortens it (rule 23).
    async fn rule_23_retry_after_is_obeyed_beyond_the_schedule(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/longer", [Step::status(503).header("retry-after", "8"), Step::status(200)]);
        receiver.on("/shorter", [Step::status(503).header("retry-after", "1"), Step::status(200)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        api.create_webhook(&receiver.url("/longer"), &["longer.*"]).await?;
        api.create_webhook(&receiver.url("/shorter"), &["shorter.*"]).await?;
        for (event_type, earliest) in [("longer.event", 8), ("shorter.event", 5)] {
            let event = api.publish(event_type, "{}").await?;
            let delivery = api.settled(&event, "success").await?;
            let arrivals: Vec<_> = receiver.requests().iter().filter(|request| request.header("webhook-id") == Some(&event)).map(|request| request.arrived).collect();
            let gap = arrivals[1] - arrivals[0];
            let earliest = Duration::from_secs(earliest);
            assert!(gap >= earliest.saturating_sub(Duration::from_millis(5)) && gap < earliest + Duration::from_secs(3), "{event_type}: {gap:?}, {delivery}");
        }
    }

    /// Rule 17: 429 uses an attempt and holds back the endpoint's other deliveries; nobody else's.
    async fn rule_17_a_throttled_endpoints_other_deliveries_wait(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/busy", [Step::status(429).header("retry-after", "4"), Step::status(200)]);
        let system = System::start(kind).await?;
        let api = &system.api;
        api.create_webhook(&receiver.url("/busy"), &["busy.*"]).await?;
        api.create_webhook(&receiver.url("/calm"), &["calm.*"]).await?;
        let throttled = api.publish("busy.event", "{}").await?;
        let first = receiver.wait_for(1, SOON).await?[0].arrived;
        let api_while_waiting = api.delivery_when(&throttled, |delivery| delivery["attempts"] == 1).await?;
        assert_eq!(api_while_waiting["status"], "retrying", "{api_while_waiting}");
        let others = api.publish_many("busy.event", 20).await?;
        let calm = api.publish("calm.event", "{}").await?;
        api.settled(&calm, "success").await?;
        for event in &others {
            api.settled(event, "success").await?;
        }
        let too_early: Vec<_> = receiver.requests().iter().filter(|request| request.path() == "/busy").skip(1).map(|request| request.arrived - first).filter(|since| *since < Duration::from_millis(3_900)).collect();
        assert!(too_early.is_empty(), "{too_early:?}");
        let calm_at = receiver.requests().iter().find(|request| request.path() == "/calm").map(|request| request.arrived - first);
        assert!(calm_at < Some(Duration::from_secs(3)), "{calm_at:?}");
        let delivery = api.settled(&throttled, "success").await?;
        assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(2), "the 429 counted");
    }

    /// An endpoint's own cap holds per sender.
    async fn an_endpoints_own_cap_is_kept(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(200).after(Duration::from_millis(50))]);
        let system = System::start(kind).await?;
        let api = &system.api;
        api.post("/v1/webhooks", &json!({"url": receiver.url("/"), "events": ["*"], "in_flight_max": 2})).await?;
        let events = api.publish_many("order.created", 30).await?;
        for event in &events {
            api.settled(event, "success").await?;
        }
        assert!(receiver.in_flight_max() <= 2, "{}", receiver.in_flight_max());
    }

    /// Over HTTP and over the queue alike, what does not match its type's schema is refused, with the pointer.
    async fn a_schema_refuses_what_does_not_match(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let api = &system.api;
        api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let schema = json!({"type": "object", "required": ["total"], "properties": {"total": {"type": "number", "minimum": 0}}});
        api.ok(Method::PUT, "/v1/event-types/order.created", Some(&json!({"description": "an order", "schema": schema}))).await?;
        let (status, problem) = api.call(Method::POST, "/v1/events", Some(&json!({"type": "order.created", "data": {"total": -1}}))).await?;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/data/total")), "{problem}");
        let fine = api.publish("order.created", r#"{"total":1}"#).await?;
        api.settled(&fine, "success").await?;
        let other = api.publish("order.paid", r#"{"total":-1}"#).await?;
        api.settled(&other, "success").await?;
        assert_eq!(receiver.count(), 2);
    }
}

/// Over the queue a mismatch is parked with its reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_parks_what_upstream_publishes_wrongly() -> Result<()> {
    let system = System::start(crate::harness::Kind::Distributed).await?;
    let schema = json!({"schema": {"type": "object", "required": ["total"]}});
    system.api.ok(Method::PUT, "/v1/event-types/order.created", Some(&schema)).await?;
    let vhost = system.servers.vhost();
    let properties = json!({"type": "order.created", "message_id": "m1", "content_type": "application/json", "delivery_mode": 2, "headers": {"tenant": "default"}});
    vhost.publish("whimbrel.events", "order.created", &properties, b"{\"n\":1}").await?;
    let parked = vhost.wait_for_messages("whimbrel.parking.v1", 1, SOON).await?;
    let reason = format!("{:?}", parked[0]);
    assert!(reason.contains("schema"), "{reason}");
    Ok(())
}
