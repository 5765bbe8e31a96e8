//! Secrets in rotation (rule 30).

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::json;

use crate::support::{Api, Call};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn rule_30_two_secrets_at_most_and_a_second_rotation_says_what_it_drops() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made =
        api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"], "secret": "first_secret_"})).await;
    let id = made["id"].as_str().unwrap();
    let rotate = |body| api.send(Call::post(&format!("/v1/webhooks/{id}/rotate-secret")).key(&key).json(&body));

    let second = rotate(json!({"secret": "second_secret_"})).await.expect(200);
    assert_eq!((&second["secret"], &second["dropped_oldest"]), (&json!("second_secret_"), &json!(false)));
    assert_eq!(second["previous_valid_until"], "2026-01-16T12:00:00Z");
    assert_eq!(api.secrets(id).await, ("second_secret_".to_owned(), Some("first_secret_".to_owned())));

    api.clock.advance_ms(23 * HOUR_MS);
    let third = rotate(json!({"secret": "third_secret_", "overlap": "2h"})).await.expect(200);
    assert_eq!(third["dropped_oldest"], true);
    assert_eq!(api.secrets(id).await, ("third_secret_".to_owned(), Some("second_secret_".to_owned())));

    api.clock.advance_ms(2 * HOUR_MS);
    assert_eq!(api.secrets(id).await, ("third_secret_".to_owned(), None), "the overlap has ended");
    let fourth = rotate(json!({})).await.expect(200);
    assert_eq!(fourth["dropped_oldest"], false, "the second had stopped signing by itself");
}

#[tokio::test]
async fn an_overlap_of_nothing_ends_the_old_secret_at_once() {
    let api = Api::start().await;
    let key = api.tenant("acme", "eightbit").await;
    let made = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/webhooks/{id}/rotate-secret");
    let answer = api.send(Call::post(&path).key(&key).json(&json!({"overlap": "0s"}))).await.expect(200);
    assert_ne!(answer["secret"], made["secret"]);
    assert_eq!(api.secrets(id).await, (answer["secret"].as_str().unwrap().to_owned(), None));
}

#[tokio::test]
async fn what_cannot_be_a_secret_or_an_overlap_changes_nothing() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    let made =
        api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"], "secret": "first_secret_"})).await;
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/webhooks/{id}/rotate-secret");
    for (body, pointer) in [
        (json!({"secret": "short"}), "/secret"),
        (json!({"overlap": "8d"}), "/overlap"),
        (json!({"overlap": 3600}), "/overlap"),
        (json!({"overlpa": "1h"}), "/overlpa"),
    ] {
        let problem = api.send(Call::post(&path).key(&key).json(&body)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    assert_eq!(api.secrets(id).await, ("first_secret_".to_owned(), None));
}

#[tokio::test]
async fn rule_30_concurrent_rotations_follow_one_another_and_none_is_lost() {
    let api = Api::start().await;
    let key = api.tenant("acme", "generic").await;
    for _ in 0..8 {
        let made = api.webhook(&key, json!({"url": "https://yourapp.com", "events": ["*"]})).await;
        let id = made["id"].as_str().unwrap();
        let path = format!("/v1/webhooks/{id}/rotate-secret");
        let calls = (0..8).map(|_| api.send(Call::post(&path).key(&key).json(&json!({}))));
        let answers: Vec<_> = join_all(calls).await.iter().map(|answer| answer.expect(200)).collect();
        let secrets: HashSet<&str> = answers.iter().map(|answer| answer["secret"].as_str().unwrap()).collect();
        assert_eq!(secrets.len(), 8);
        let first = answers.iter().filter(|answer| answer["dropped_oldest"] == false).count();
        assert_eq!(first, 1, "each but the first saw the one before it");
        let (current, previous) = api.secrets(id).await;
        assert!(secrets.contains(current.as_str()) && secrets.contains(previous.unwrap().as_str()));
    }
}
