//! What an owner may choose for a webhook.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Api, Call};

const URL: &str = "https://yourapp.com/webhook";

fn all_options() -> Value {
    json!({
        "headers": {"Authorization": "Bearer hush", "X-Own": "also hush"},
        "timeout": "5s",
        "rate_limit": 100,
        "in_flight_max": 4,
        "retry_schedule": ["30s", "5m", "24h"],
        "filter": {"all": [{"pointer": "/total", "op": "gt", "value": 100}]},
    })
}

fn with_all_options() -> Value {
    let mut body = all_options();
    body["url"] = json!(URL);
    body["events"] = json!(["*"]);
    body
}

/// The options as a view shows them.
fn shown(view: &Value) -> Value {
    let fields = ["headers", "timeout", "rate_limit", "in_flight_max", "retry_schedule", "filter"];
    fields.into_iter().map(|field| (field.to_owned(), view[field].clone())).collect()
}

fn all_shown() -> Value {
    let mut expected = all_options();
    expected["headers"] = json!({"Authorization": "…", "X-Own": "…"});
    expected
}

fn none_shown() -> Value {
    json!({
        "headers": {}, "timeout": null, "rate_limit": null, "in_flight_max": null, "retry_schedule": null,
        "filter": null,
    })
}

#[tokio::test]
async fn options_are_taken_shown_changed_and_removed() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, with_all_options()).await;
    assert_eq!(shown(&made), all_shown());
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let patch = |body: Value| api.send(Call::new("PATCH", &path).key(&key).json(&body));

    let changed = patch(json!({"timeout": "2s", "retry_schedule": []})).await.expect(200);
    let mut expected = all_shown();
    (expected["timeout"], expected["retry_schedule"]) = (json!("2s"), json!([]));
    assert_eq!(shown(&changed), expected, "the others stay");
    assert_eq!(shown(&patch(json!({"headers": {"X-New": "1"}})).await.expect(200))["headers"], json!({"X-New": "…"}));

    let nothing = json!({
        "headers": null, "timeout": null, "rate_limit": null, "in_flight_max": null, "retry_schedule": null,
        "filter": null,
    });
    assert_eq!(shown(&patch(nothing).await.expect(200)), none_shown());
    assert_eq!(shown(&api.webhook(&key, json!({"url": URL, "events": ["*"]})).await), none_shown());
}

#[tokio::test]
async fn header_values_are_never_shown_and_kept_as_they_came() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let body = with_all_options().to_string();
    let answer = api.send(Call::post("/v1/webhooks").key(&key).raw("application/json", &body)).await;
    let made = answer.expect(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/webhooks/{id}");
    let patch = Call::new("PATCH", &path).key(&key).json(&json!({"description": "x"}));
    let activate = Call::post(&format!("{path}/activate")).key(&key);
    let bad = json!({"headers": {"X-Own": "hush…"}});
    for answer in [
        answer,
        api.send(patch).await,
        api.send(activate).await,
        api.send(Call::get(&path).key(&key)).await,
        api.send(Call::get("/v1/webhooks").key(&key)).await,
        api.send(Call::new("PATCH", &path).key(&key).json(&bad)).await,
    ] {
        assert!(!answer.text().contains("hush"), "{}", answer.text());
    }
    let stored = api.state.store.endpoints(&[id.parse().unwrap()]).await.unwrap().remove(0);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(stored.headers.0, [pair("Authorization", "Bearer hush"), pair("X-Own", "also hush")]);
}

#[tokio::test]
async fn every_wrong_option_is_named_with_its_place() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, with_all_options()).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let cases = [
        (json!({"headers": {"Host": "x"}}), "/headers/Host"),
        (json!({"headers": {"x-webhook-signature": "x"}}), "/headers/x-webhook-signature"),
        (json!({"headers": {"X-Own": 1}}), "/headers/X-Own"),
        (json!({"headers": ["X-Own"]}), "/headers"),
        (json!({"timeout": "999ms"}), "/timeout"),
        (json!({"timeout": "31s"}), "/timeout"),
        (json!({"timeout": 5}), "/timeout"),
        (json!({"rate_limit": 0}), "/rate_limit"),
        (json!({"rate_limit": 10_001}), "/rate_limit"),
        (json!({"in_flight_max": 1_001}), "/in_flight_max"),
        (json!({"in_flight_max": -1}), "/in_flight_max"),
        (json!({"retry_schedule": ["30s", "31s"]}), "/retry_schedule/1"),
        (json!({"retry_schedule": vec!["30s"; 33]}), "/retry_schedule"),
        (json!({"retry_schedule": vec!["24h"; 24]}), "/retry_schedule"),
        (json!({"filter": {"pointer": "/a", "op": "near", "value": 1}}), "/filter/op"),
        (json!({"filter": {"all": [{"not": {"pointer": "a", "op": "eq", "value": 1}}]}}), "/filter/all/0/not/pointer"),
        (json!({"filter": []}), "/filter"),
    ];
    for (fields, pointer) in cases {
        let patched = api.send(Call::new("PATCH", &path).key(&key).json(&fields)).await.problem(422);
        assert_eq!(patched["errors"][0]["pointer"], pointer, "{fields}");
        let mut body = json!({"url": URL, "events": ["*"]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let created = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await.problem(422);
        assert_eq!(created["errors"][0]["pointer"], pointer, "{fields}");
    }
    let body = json!({"timeout": "1m", "rate_limit": 0, "headers": {"Host": "x", "te": "x"}, "url": "nowhere"});
    let problem = api.send(Call::new("PATCH", &path).key(&key).json(&body)).await.problem(422);
    let mut pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/headers/Host", "/headers/te", "/rate_limit", "/timeout", "/url"]);
    assert_eq!(shown(&api.send(Call::get(&path).key(&key)).await.expect(200)), all_shown(), "nothing has changed");
}

#[tokio::test]
async fn a_header_twice_is_refused_even_where_json_would_let_one_win() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let body = r#"{"url": "https://yourapp.com", "events": ["*"], "headers": {"X-Own": "1", "X-Own": "2"}}"#;
    let problem = api.send(Call::post("/v1/webhooks").key(&key).raw("application/json", body)).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/headers/X-Own");
}

#[tokio::test]
async fn a_schedule_is_made_of_the_deployments_delays_and_the_error_names_them() {
    let api = Api::start().await;
    let key = api.tenant("acme", "bitbybit").await;
    let body = json!({"url": URL, "events": ["*"], "retry_schedule": ["90s"]});
    let problem = api.send(Call::post("/v1/webhooks").key(&key).json(&body)).await.problem(422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("5s, 10s, 30s, 1m, 5m, 15m, 30m, 1h, 2h, 5h, 6h, 10h, 14h, 20h, 24h"), "{detail}");
    let of_others = json!({"url": URL, "events": ["*"], "retry_schedule": ["10s", "60s", "20h"]});
    assert_eq!(api.webhook(&key, of_others).await["retry_schedule"], json!(["10s", "1m", "20h"]));
}

#[tokio::test]
async fn concurrent_changes_of_different_options_are_all_kept() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made = api.webhook(&key, json!({"url": URL, "events": ["*"]})).await;
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let options = all_options();
    let changes = options.as_object().unwrap().iter().map(|(field, value)| json!({ field: value }));
    let calls = changes.map(|body| Call::new("PATCH", &path).key(&key).json(&body));
    for answer in join_all(calls.map(|call| api.send(call))).await {
        answer.expect(200);
    }
    assert_eq!(shown(&api.send(Call::get(&path).key(&key)).await.expect(200)), all_shown());
}
