//! When the queue does not take what it is given.

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::watch;
use whimbrel_core::port::{Message, Publisher, QueueError};

use crate::support::{ADMIN, Answer, Api, Call};

/// What a publish comes to.
type Publish = fn() -> Result<(), QueueError>;

/// Stands for a queue in trouble: a full, blocked or broken one cannot be had at will from a real engine.
struct Trouble {
    blocked: bool,
    publish: Publish,
}

#[async_trait]
impl Publisher for Trouble {
    async fn publish(&self, _: Vec<Message>) -> Result<(), QueueError> {
        (self.publish)()
    }

    fn blocked(&self) -> watch::Receiver<bool> {
        watch::Sender::new(self.blocked).subscribe()
    }
}

async fn publish_under(api: &Api, blocked: bool, publish: Publish) -> Answer {
    let router = api.with_publisher(Trouble { blocked, publish });
    let event = json!({"type": "user.created", "data": {}});
    Answer::of(router, Call::post("/v1/events").key(ADMIN).with("idempotency-key", "k").json(&event)).await
}

#[tokio::test]
async fn rule_16_a_full_blocked_or_absent_queue_is_503_with_retry_after() {
    let api = Api::start().await;
    let cases: [(bool, Publish); 3] = [
        (false, || Err(QueueError::Full("reject-publish".into()))),
        (false, || Err(QueueError::Away("no connection".into()))),
        (true, || panic!("nothing is published to a blocked broker")),
    ];
    for (blocked, publish) in cases {
        let answer = publish_under(&api, blocked, publish).await;
        answer.problem(503);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
}

#[tokio::test]
async fn rule_06_what_was_refused_is_taken_at_the_next_try_under_its_id() {
    let api = Api::start().await;
    publish_under(&api, false, || Err(QueueError::Away("no connection".into()))).await.problem(503);
    let mut events = api.events().await;
    let event = json!({"type": "user.created", "data": {}});
    let again = || api.send(Call::post("/v1/events").key(ADMIN).with("idempotency-key", "k").json(&event));
    let accepted = again().await.expect(202);
    assert_eq!(accepted["id"], events.next().await.event_id().to_string());
    assert_eq!(again().await.expect(202)["id"], accepted["id"]);
}

#[tokio::test]
async fn a_notice_that_cannot_be_published_does_not_fail_the_change() {
    let api = Api::start().await;
    let router =
        api.with_publisher(Trouble { blocked: false, publish: || Err(QueueError::Away("no connection".into())) });
    let body = json!({"url": "https://yourapp.com", "events": ["*"]});
    Answer::of(router, Call::post("/v1/webhooks").key(ADMIN).json(&body)).await.expect(201);
}

#[tokio::test]
async fn a_panic_is_one_answer() {
    let api = Api::start().await;
    let answer = publish_under(&api, false, || panic!("a bug")).await;
    let problem = answer.problem(500);
    assert!(!problem.to_string().contains("a bug"), "the cause stays in the log");
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let api = Api::start_with(|settings| settings.body_timeout = std::time::Duration::from_millis(20)).await;
    api.send(Call::post("/v1/events").key(ADMIN).stalled("application/json")).await.problem(408);
}
