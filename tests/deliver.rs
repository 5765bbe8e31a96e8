//! The main way: an event becomes one signed POST per subscribed endpoint, and a row in the log.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{SOON, System, on_both_engines, text};

on_both_engines! {
    /// Exact, prefix and all-matching subscriptions get it once each; others get nothing.
    async fn an_event_reaches_every_subscribed_endpoint_once(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let api = &system.api;
        for (path, events) in [("/exact", "order.created"), ("/prefix", "order.*"), ("/all", "*"), ("/other", "customer.created")] {
            api.create_webhook(&receiver.url(path), &[events]).await?;
        }
        let data = r#"{"b":1.0,  "a":"\u00e9","n":12345678901234567890}"#;
        let event = api.publish("order.created", data).await?;
        let requests = receiver.wait_for(3, SOON).await?;
        let mut paths: Vec<_> = requests.iter().map(|request| request.path().to_owned()).collect();
        paths.sort();
        assert_eq!(paths, ["/all", "/exact", "/prefix"]);
        for request in &requests {
            assert_eq!(request.method, "POST");
            assert_eq!(request.header("webhook-id"), Some(event.as_str()));
            let body = std::str::from_utf8(&request.body)?;
            assert!(body.ends_with(&format!(r#""data":{data}}}"#)), "data goes out byte for byte: {body}");
        }
        wait::until("all three are logged", SOON, || async {
            let answer = api.get(&format!("/v1/events/{event}")).await.ok()?;
            let deliveries = answer["deliveries"].as_array()?;
            (deliveries.len() == 3 && deliveries.iter().all(|delivery| delivery["status"] == "success")).then_some(())
        })
        .await?;
        assert_eq!(receiver.count(), 3);
    }

    /// Many events to several endpoints: every one arrives, none twice, and the queue ends empty.
    async fn a_thousand_events_arrive_each_once(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        for path in ["/a", "/b", "/c"] {
            system.api.create_webhook(&receiver.url(path), &["*"]).await?;
        }
        let events: Vec<_> = (0..1000).map(|number| json!({"type": "order.created", "data": {"number": number}})).collect();
        let answer = system.api.post("/v1/events/batch", &json!({"events": events})).await?;
        assert_eq!(answer["results"].as_array().map(Vec::len), Some(1000), "{answer}");
        let requests = receiver.wait_for(3000, SOON * 2).await?;
        let seen: std::collections::HashSet<_> =
            requests.iter().map(|request| (request.path().to_owned(), request.header("webhook-id").unwrap_or_default().to_owned())).collect();
        assert_eq!((requests.len(), seen.len()), (3000, 3000));
    }

    /// An endpoint's failure is no other's: and the log shows status, body and error of each attempt.
    async fn the_log_tells_what_came_back(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::respond(418, "short and stout".repeat(1000))]);
        let system = System::start(kind).await?;
        let (webhook, _) = system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let event = system.api.publish("order.created", "{}").await?;
        let delivery = system.api.settled(&event, "retrying").await?;
        let attempt = &delivery["attempts"][0];
        assert_eq!(attempt["number"], 1);
        assert_eq!(attempt["status_code"], 418);
        assert_eq!(attempt["response_body"].as_str().map(str::len), Some(4096), "the first 4 KiB");
        assert!(attempt["error"].as_str().is_some_and(|error| error.contains("418")), "{attempt}");
        let list = system.api.get(&format!("/v1/webhooks/{webhook}/deliveries")).await?;
        assert_eq!(list["deliveries"][0]["status_code"], 418);
        assert_eq!(list["deliveries"][0]["event_id"], event.as_str());
    }

    /// The same `Idempotency-Key` gives the same event; with another body it is a conflict (rule 6).
    async fn rule_06_a_repeated_key_is_one_event(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let client = whimbrel_testkit::http::client();
        let publish = async |data: &'static str| -> Result<(u16, serde_json::Value)> {
            let request = client.post(format!("{}/v1/events", system.api.base)).bearer_auth(&system.api.key);
            let request = request.header("Idempotency-Key", "order-1").header("Content-Type", "application/json");
            let response = request.body(format!(r#"{{"type":"order.created","data":{data}}}"#)).send().await?;
            Ok((response.status().as_u16(), response.json().await?))
        };
        let (first, one) = publish("{\"n\":1}").await?;
        let (second, same) = publish("{\"n\":1}").await?;
        let (third, conflict) = publish("{\"n\":2}").await?;
        assert_eq!((first, second, third), (202, 202, 409), "{conflict}");
        assert_eq!(one["id"], same["id"]);
        system.api.settled(&text(&one, "id")?, "success").await?;
        let marker = system.api.publish("order.created", "{}").await?;
        system.api.settled(&marker, "success").await?;
        assert_eq!(receiver.count(), 2, "one POST for the repeated event, one for the marker");
    }

    /// `POST /v1/webhooks/{id}/test` goes through the real pipeline to that endpoint alone (rule 22).
    async fn rule_22_a_test_event_reaches_its_endpoint_only(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let (webhook, _) = system.api.create_webhook(&receiver.url("/one"), &["order.created"]).await?;
        system.api.create_webhook(&receiver.url("/two"), &["*"]).await?;
        let answer = system.api.ok(Method::POST, &format!("/v1/webhooks/{webhook}/test"), None).await?;
        assert!(answer.to_string().contains("del_"), "{answer}");
        let requests = receiver.wait_for(1, SOON).await?;
        assert_eq!(requests[0].path(), "/one");
        assert_eq!(requests[0].json()["type"], "webhook.test");
        let marker = system.api.publish("order.created", "{}").await?;
        receiver.wait_for(3, SOON).await?;
        assert_eq!(receiver.requests().iter().filter(|request| request.header("webhook-id") != Some(&marker)).count(), 1);
    }

    /// A changed URL holds for the next event, although the sender keeps copies (rule 10).
    async fn rule_10_a_changed_endpoint_is_used_at_once(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let (webhook, _) = system.api.create_webhook(&receiver.url("/old"), &["*"]).await?;
        let first = system.api.publish("order.created", "{}").await?;
        system.api.settled(&first, "success").await?;
        let change = json!({"url": receiver.url("/new")});
        system.api.ok(Method::PATCH, &format!("/v1/webhooks/{webhook}"), Some(&change)).await?;
        system.api.publish("order.created", "{}").await?;
        let requests = receiver.wait_for(2, SOON).await?;
        assert_eq!(requests[1].path(), "/new");
    }
}
