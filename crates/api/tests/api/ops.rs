//! The operations port.

use crate::support::{Api, Call};

#[tokio::test]
async fn a_working_process_is_alive_and_ready_and_shows_its_metrics() {
    let api = Api::start().await;
    assert_eq!(api.send_ops(Call::get("/livez")).await.status, 200);
    let ready = api.send_ops(Call::get("/readyz")).await.expect(200);
    assert_eq!((ready["store"].as_str(), ready["queue"].as_str()), (Some("ok"), Some("ok")));
    let metrics = api.send_ops(Call::get("/metrics")).await;
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert_eq!(metrics.text(), "whimbrel_test 1\n");
}

#[tokio::test]
async fn readiness_says_which_is_away() {
    let api = Api::start().await;
    api.close().await;
    let answer = api.send_ops(Call::get("/readyz")).await;
    assert_eq!(answer.status, 503);
    let body = answer.json();
    assert_eq!(body["status"], "away");
    assert_ne!(body["store"], "ok");
    assert_eq!(api.send_ops(Call::get("/livez")).await.status, 200, "alive all the same");
    api.send(Call::get("/v1/webhooks").key(crate::support::ADMIN)).await.problem(503);
}

#[tokio::test]
async fn clocks_that_differ_are_a_warning_and_the_process_stays_ready() {
    let api = Api::start().await;
    let skew = async || api.send_ops(Call::get("/readyz")).await.expect(200).get("clock_skew_ms").cloned();
    assert_eq!(skew().await, None);
    api.clock.advance_ms(2_000);
    assert_eq!(skew().await, None, "two seconds are within bounds");
    api.clock.advance_ms(1);
    assert_eq!(skew().await, Some(2_001.into()), "the store is ahead");
    api.own_clock.advance_ms(10_000);
    assert_eq!(skew().await, Some((-7_999).into()));
}
