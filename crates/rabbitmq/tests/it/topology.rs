//! Declared, compared, and nothing lost that is misaddressed.

use anyhow::ensure;
use reqwest::Method;
use serde_json::json;
use whimbrel_core::port::{Lane, Queue as _, QueueError, Route, Source};
use whimbrel_rabbitmq::Topology;
use whimbrel_rabbitmq::topology::{Management, check, declare};
use whimbrel_testkit::rabbitmq::{Vhost, vhost};
use whimbrel_testkit::{http, wait};

use crate::support::{self, PATIENCE, message, tiers};

async fn differences(vhost: &Vhost) -> anyhow::Result<Vec<String>> {
    let url = vhost.management().url().replacen("://", "://guest:guest@", 1);
    let management = Management::new(&url, http::client())?;
    Ok(check(&Topology::new(&tiers()), &management, vhost.name()).await?)
}

#[tokio::test]
async fn a_declared_topology_has_no_difference() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    assert_eq!(differences(&vhost).await?, Vec::<String>::new());
    // A second time changes nothing.
    support::declare(&vhost).await?;
    support::connect(vhost.amqp_url()).await?.exists().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_declared_is_all_missing() -> anyhow::Result<()> {
    let vhost = vhost().await?;
    let table = Topology::new(&tiers());
    let expected = table.exchanges.len() + table.queues.len() + table.bindings.len();
    let found = differences(&vhost).await?;
    ensure!(found.len() == expected && found.iter().all(|line| line.ends_with(" is missing")), "{found:#?}");
    let missing = support::connect(vhost.amqp_url()).await?.exists().await;
    let says = |sentence: &String| sentence.contains("whimbrel.events") && sentence.contains("topology apply");
    ensure!(matches!(&missing, Err(QueueError::Fatal(sentence)) if says(sentence)), "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn rule_24_changed_arguments_and_bindings_are_found() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let (management, name) = (vhost.management(), vhost.name());
    management.call(Method::DELETE, &["queues", name, "whimbrel.jobs.slow.v1"], None).await?;
    let arguments = json!({"x-queue-type": "quorum", "x-delivery-limit": 3, "x-max-length": 10});
    vhost.declare_queue("whimbrel.jobs.slow.v1", &arguments).await?;
    let bindings = ["bindings", name, "e", "whimbrel.jobs", "q", "whimbrel.jobs.live.v1"];
    management.call(Method::POST, &bindings, Some(json!({"routing_key": "#"}))).await?;

    let found = differences(&vhost).await?;
    let queue = "queue whimbrel.jobs.slow.v1";
    let expected = [
        format!("{queue} lacks x-dead-letter-exchange = \"whimbrel.parking\""),
        format!("{queue} lacks x-dead-letter-strategy = \"at-least-once\""),
        format!("{queue} has x-delivery-limit = 3, not 20"),
        format!("{queue} has x-max-length = 10, which it must not have"),
        format!("{queue} lacks x-overflow = \"reject-publish\""),
        "binding of whimbrel.jobs.slow.v1 to whimbrel.jobs by key `*.slow` is missing".to_owned(),
        "binding of whimbrel.jobs.live.v1 to whimbrel.jobs by key `#` must not be there".to_owned(),
    ];
    assert_eq!(found, expected);
    let refused = declare(vhost.amqp_url(), &Topology::new(&tiers())).await.expect_err("other arguments").to_string();
    assert!(refused.contains("queue whimbrel.jobs.slow.v1") && refused.contains("inequivalent"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn an_unroutable_message_is_kept() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let binding = ["bindings", vhost.name(), "e", "whimbrel.jobs", "q", "whimbrel.jobs.bulk.v1", "*.bulk"];
    vhost.management().call(Method::DELETE, &binding, None).await?;
    let queue = support::connect(vhost.amqp_url()).await?;
    queue.publisher().publish(vec![message(Route::Jobs(Lane::Bulk), "nowhere to go")]).await?;
    let kept = vhost.wait_for_messages("whimbrel.unroutable.v1", 1, PATIENCE).await?.remove(0);
    assert_eq!((kept.payload.as_str(), kept.routing_key.as_str()), ("nowhere to go", "now.bulk"));
    Ok(())
}

#[tokio::test]
async fn rule_19_a_message_that_comes_too_often_is_parked() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let queue = support::connect(vhost.amqp_url()).await?;
    queue.publisher().publish(vec![message(Route::Outcomes, "poison")]).await?;
    let mut consumer = queue.consume(Source::Outcomes, 1).await?;
    let mut parked = queue.consume(Source::Parking, 1).await?;
    let released = async {
        loop {
            let received = consumer.receive(1).await?;
            consumer.acker().release(&[received[0].tag]).await?;
        }
        #[expect(unreachable_code, reason = "gives the loop its error type")]
        anyhow::Ok(())
    };
    let parked = tokio::select! {
        parked = support::next(&mut *parked) => parked?,
        ended = released => anyhow::bail!("releasing ended: {ended:?}"),
    };
    assert_eq!(&parked.payload[..], b"poison");
    Ok(())
}

#[tokio::test]
async fn rule_16_a_full_events_queue_refuses() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let policy = json!({"pattern": "^whimbrel\\.events\\.", "definition": {"max-length": 5}, "apply-to": "queues"});
    vhost.management().call(Method::PUT, &["policies", vhost.name(), "small"], Some(policy)).await?;
    let queue = support::connect(vhost.amqp_url()).await?;
    let event = || message(Route::Events("a.b".to_owned()), "one more");
    // The policy reaches the queue some time after it was made.
    let refused =
        wait::until("the queue refuses", PATIENCE, async || queue.publisher().publish(vec![event()]).await.err());
    ensure!(matches!(refused.await?, QueueError::Full(_)), "refused for another reason");
    // Others are not concerned.
    Ok(queue.publisher().publish(vec![message(Route::Outcomes, "taken")]).await?)
}
