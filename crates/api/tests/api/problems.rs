//! Whatever goes wrong is a problem document.

use serde_json::json;

use crate::support::{ADMIN, Api, Call};

#[tokio::test]
async fn an_unknown_address_is_404_and_an_unknown_method_405_with_allow() {
    let api = Api::start().await;
    let answer = api.send(Call::get("/v1/nothing")).await;
    answer.problem(404);
    let answer = api.send(Call::new("PUT", "/v1/webhooks").key(ADMIN).json(&json!({}))).await;
    answer.problem(405);
    let allow = answer.header("allow");
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
}

#[tokio::test]
async fn malformed_json_is_400_with_line_and_column() {
    let api = Api::start().await;
    for path in ["/v1/webhooks", "/v1/events", "/v1/events/batch", "/v1/tenants"] {
        let answer = api.send(Call::post(path).key(ADMIN).raw("application/json", "{\n \"url\": oops")).await;
        let detail = answer.problem(400)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("line 2 column"), "{path}: {detail}");
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    let api = Api::start().await;
    for path in ["/v1/webhooks", "/v1/events", "/v1/events/batch", "/v1/tenants"] {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
            api.send(Call::post(path).key(ADMIN).raw(content_type, "{}")).await.problem(415);
        }
    }
}

#[tokio::test]
async fn unknown_missing_and_mistyped_fields_are_422_with_their_pointers() {
    let api = Api::start().await;
    let cases = [
        ("/v1/webhooks", json!({"url": "https://example.com", "events": ["*"], "evnts": []}), "/evnts"),
        ("/v1/webhooks", json!({"events": ["*"]}), "/url"),
        ("/v1/webhooks", json!({"url": 1, "events": ["*"]}), "/url"),
        ("/v1/webhooks", json!({"url": "https://example.com", "events": ["*", 2]}), "/events/1"),
        ("/v1/events", json!({"type": "a.b", "data": {}, "extra": 1}), "/extra"),
        ("/v1/events", json!({"type": "a.b"}), "/data"),
        ("/v1/events", json!({"type": "a.b", "data": {}, "occurred_at": "yesterday"}), "/occurred_at"),
        ("/v1/tenants", json!({"id": "No Such", "contract": "standard"}), "/id"),
        ("/v1/tenants", json!({"id": "acme", "contract": "standard", "limit": {}}), "/limit"),
        ("/v1/tenants", json!({"id": "acme", "contract": "standard", "limits": {"endpoints": 1}}), "/limits/endpoints"),
        ("/v1/tenants", json!({"id": "acme", "contract": "standard", "limits": {"webhooks": -1}}), "/limits/webhooks"),
        ("/v1/keys", json!({"name": "x", "expires": "2027-01-01T00:00:00Z"}), "/expires"),
        ("/v1/tenants/default/erase", json!({"until": "2026-01-01T00:00:00Z"}), "/until"),
    ];
    for (path, body, pointer) in cases {
        let problem = api.send(Call::post(path).key(ADMIN).json(&body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{path} {body}");
    }
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_413() {
    let api = Api::start().await;
    let settings = &api.state.settings;
    let cases = [
        ("/v1/webhooks", settings.management_bytes_max),
        ("/v1/events", settings.event_bytes_max),
        ("/v1/events/batch", settings.batch_bytes_max),
    ];
    for (path, bound) in cases {
        let body = " ".repeat(bound + 1);
        api.send(Call::post(path).key(ADMIN).raw("application/json", &body)).await.problem(413);
        api.send(Call::post(path).key(ADMIN).streamed("application/json", &body)).await.problem(413);
    }
}

#[tokio::test]
async fn unknown_and_malformed_query_parameters_are_400() {
    let api = Api::start().await;
    for query in ["limit=0", "limit=101", "limit=x", "cursor=x", "colour=red", "limit=1&limit=2"] {
        for path in ["/v1/webhooks", "/v1/events", "/v1/audit"] {
            api.send(Call::get(&format!("{path}?{query}")).key(ADMIN)).await.problem(400);
        }
    }
    api.send(Call::get("/v1/tenants?cursor=No").key(ADMIN)).await.problem(400);
}

#[tokio::test]
async fn what_can_be_no_id_names_nothing() {
    let api = Api::start().await;
    for path in [
        "/v1/webhooks/7",
        "/v1/webhooks/evt_01jb3h2k9fe8yaw3cvj6s5n7qt",
        "/v1/webhooks/%ff",
        "/v1/webhooks/x/deliveries",
        "/v1/events/x",
        "/v1/deliveries/x",
        "/v1/tenants/No%20Such",
        "/v1/event-types/a..b",
        "/v1/event-types/a%20b",
    ] {
        api.send(Call::get(path).key(ADMIN)).await.problem(404);
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_not_stored() {
    let api = Api::start().await;
    let answer = api.send(Call::get("/v1/webhooks").key(ADMIN)).await;
    assert_eq!(answer.header("x-request-id").len(), 20);
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = api.send(Call::get("/v1/webhooks").key(ADMIN).with("x-request-id", "mine")).await;
    assert_eq!(answer.header("x-request-id"), "mine");
}

#[tokio::test]
async fn the_description_and_its_pages_are_served_to_everyone() {
    let api = Api::start().await;
    let answer = api.send(Call::get("/openapi.json")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["openapi"], "3.1.0");
    let answer = api.send(Call::get("/docs/")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("swagger"), "the pages come with the binary");
    let answer = api.send(Call::get("/")).await;
    assert_eq!((answer.status, answer.header("location").as_str()), (307, "/docs/"));
}
