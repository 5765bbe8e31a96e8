//! What cannot heal by waiting says so; what can is waited for.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::timeout;
use whimbrel_core::port::{Lane, Queue as _, QueueError, Route, Source};
use whimbrel_testkit::ports;
use whimbrel_testkit::proxy::FaultProxy;
use whimbrel_testkit::rabbitmq::{Broker, vhost};

use crate::support::{self, PATIENCE, connect, message, next};

#[tokio::test]
async fn a_wrong_password_is_fatal_and_not_repeated() -> anyhow::Result<()> {
    let vhost = vhost().await?;
    vhost.put_user("right", ["", "", ""]).await?;
    let error = connect(&vhost.amqp_url_as("guest", "wr0ng-s3cret")).await.err();
    let says = |sentence: &String| sentence.contains("refuses user `guest`") && !sentence.contains("wr0ng");
    ensure!(matches!(&error, Some(QueueError::Fatal(sentence)) if says(sentence)), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_missing_vhost_is_fatal() -> anyhow::Result<()> {
    let vhost = vhost().await?;
    let error = connect(&vhost.amqp_url().replace(vhost.name(), "nowhere")).await.err();
    ensure!(
        matches!(&error, Some(QueueError::Fatal(sentence)) if sentence.contains("/nowhere does not exist")),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_missing_queue_is_fatal_and_says_what_to_do() -> anyhow::Result<()> {
    let vhost = vhost().await?;
    let queue = connect(vhost.amqp_url()).await?;
    let mut consumer = queue.consume(Source::Jobs(Lane::Live), 10).await?;
    let error = timeout(PATIENCE, consumer.receive(1)).await?.err();
    let says = |sentence: &str| {
        sentence.starts_with("queue whimbrel.jobs.live.v1 does not exist at 127.0.0.1:")
            && sentence.ends_with(&format!("/{}: run `whimbrel topology apply`", vhost.name()))
    };
    ensure!(matches!(&error, Some(QueueError::Fatal(sentence)) if says(sentence)), "{error:?}");

    for last in [false, false, true] {
        let error = queue.publisher().publish(vec![message(Route::Outcomes, "")]).await.err();
        let says = |sentence: &str| sentence.starts_with("exchange whimbrel.outcomes does not exist at");
        match error {
            Some(QueueError::Away(sentence)) if says(&sentence) && !last => {}
            Some(QueueError::Fatal(sentence)) if says(&sentence) && last => {}
            other => anyhow::bail!("publishing gave {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_unreachable_broker_is_waited_for() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let proxy = FaultProxy::before(vhost.amqp_url()).await?;
    proxy.refuse();
    let queue = connect(&proxy.url(vhost.amqp_url())?).await?;
    let mut consumer = queue.consume(Source::Outcomes, 10).await?;
    let published = queue.publisher().publish(vec![message(Route::Outcomes, "early")]).await;
    ensure!(matches!(published, Err(QueueError::Away(_))), "{published:?}");
    ensure!(matches!(queue.ping().await, Err(QueueError::Away(_))), "it answers");

    proxy.pass();
    let received = tokio::spawn(async move { next(&mut *consumer).await });
    publish_until_confirmed(&*queue.publisher(), "late").await?;
    assert_eq!(&received.await??.payload[..], b"late");
    Ok(())
}

#[tokio::test]
async fn nobody_at_the_port_is_no_error_at_start() -> anyhow::Result<()> {
    let queue = connect(&format!("amqp://u:p@127.0.0.1:{}/v", ports::free())).await?;
    let published = queue.publisher().publish(vec![message(Route::Outcomes, "")]).await;
    ensure!(matches!(published, Err(QueueError::Away(_))), "{published:?}");
    queue.close().await;
    Ok(())
}

#[tokio::test]
async fn a_confirm_that_does_not_come_is_unknown_and_work_goes_on() -> anyhow::Result<()> {
    let vhost = support::declared().await?;
    let proxy = FaultProxy::before(vhost.amqp_url()).await?;
    let queue = connect(&proxy.url(vhost.amqp_url())?).await?;
    let publisher = queue.publisher();
    publisher.publish(vec![message(Route::Outcomes, "before")]).await?;
    proxy.stall();
    let published = timeout(PATIENCE, publisher.publish(vec![message(Route::Outcomes, "unknown")])).await?;
    ensure!(matches!(&published, Err(QueueError::Away(why)) if why.contains("confirm")), "{published:?}");
    proxy.cut();
    proxy.pass();
    publish_until_confirmed(&*publisher, "after").await
}

#[tokio::test]
async fn rule_16_an_alarm_shows_as_blocked_and_consuming_goes_on() -> anyhow::Result<()> {
    let broker = Broker::start().await?;
    let vhost = broker.create_vhost().await?;
    support::declare(&vhost).await?;
    let queue = connect(vhost.amqp_url()).await?;
    let publisher = queue.publisher();
    publisher.publish(vec![message(Route::Outcomes, "before")]).await?;

    broker.set_memory_alarm(true).await?;
    let during = tokio::spawn({
        let publisher = queue.publisher();
        async move { publisher.publish(vec![message(Route::Outcomes, "during")]).await }
    });
    let mut blocked = publisher.blocked();
    timeout(PATIENCE, blocked.wait_for(|blocked| *blocked)).await??;
    let mut consumer = queue.consume(Source::Outcomes, 1).await?;
    assert_eq!(&next(&mut *consumer).await?.payload[..], b"before");
    // Long enough for the confirm to be given up, which must not cost the connection.
    let held = timeout(Duration::from_secs(20), during).await??;
    ensure!(matches!(&held, Err(QueueError::Away(why)) if why.contains("blocks publishers")), "{held:?}");
    let refused = publisher.publish(vec![message(Route::Outcomes, "refused")]).await;
    ensure!(matches!(&refused, Err(QueueError::Away(_))) && *publisher.blocked().borrow(), "{refused:?}");

    broker.set_memory_alarm(false).await?;
    timeout(PATIENCE, blocked.wait_for(|blocked| !*blocked)).await??;
    publisher.publish(vec![message(Route::Outcomes, "after")]).await?;
    let came = [next(&mut *consumer).await?, next(&mut *consumer).await?];
    assert_eq!([&came[0].payload[..], &came[1].payload[..]], [b"during" as &[u8], b"after"]);
    Ok(())
}

async fn publish_until_confirmed(publisher: &dyn whimbrel_core::port::Publisher, text: &str) -> anyhow::Result<()> {
    let publishing = async {
        while let Err(error) = publisher.publish(vec![message(Route::Outcomes, text)]).await {
            ensure!(matches!(error, QueueError::Away(_)), "publishing gave {error:?}");
        }
        Ok(())
    };
    timeout(PATIENCE, publishing).await?
}
