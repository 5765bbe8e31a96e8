//! Every role works with exactly the rights of its user, and with no others (rule 24).

use std::sync::Arc;

use anyhow::ensure;
use whimbrel_core::parking::{Origin, Selection};
use whimbrel_core::port::{Lane, ParkedFate, Parking, ParkingError, Queue as _, QueueError, Route, Source};
use whimbrel_core::tier::{HOPS, Tier};
use whimbrel_rabbitmq::permissions::{Role, permissions};
use whimbrel_rabbitmq::{RabbitParking, RabbitQueue, Topology, topology};
use whimbrel_testkit::http;
use whimbrel_testkit::rabbitmq::{Vhost, vhost};

use crate::support::{PATIENCE, connect, message, next, options, tiers};

async fn url_of(vhost: &Vhost, role: Role) -> anyhow::Result<String> {
    let rights = permissions(role);
    vhost.put_user(role.as_str(), [rights.configure, rights.write, rights.read]).await
}

/// A vhost whose topology was declared by the topology user.
async fn declared() -> anyhow::Result<Vhost> {
    http::install_tls();
    let vhost = vhost().await?;
    topology::declare(&url_of(&vhost, Role::Topology).await?, &Topology::new(&tiers())).await?;
    Ok(vhost)
}

async fn user(vhost: &Vhost, role: Role) -> anyhow::Result<Arc<RabbitQueue>> {
    Ok(connect(&url_of(vhost, role).await?).await?)
}

fn parking() -> Route {
    Route::Parking { source: Source::Events, origin: Origin::default(), reason: "test".to_owned() }
}

/// Publishes to each of `routes`, and has each of `sources`.
async fn may(queue: &RabbitQueue, routes: &[Route], sources: &[Source]) -> anyhow::Result<()> {
    for route in routes {
        queue.publisher().publish(vec![message(route.clone(), "allowed")]).await?;
    }
    for source in sources {
        next(&mut *queue.consume(*source, 10).await?).await?;
    }
    queue.exists().await?;
    Ok(queue.ping().await?)
}

async fn may_not_publish(queue: &RabbitQueue, route: Route) -> anyhow::Result<()> {
    let refused = queue.publisher().publish(vec![message(route, "denied")]).await;
    ensure!(matches!(&refused, Err(QueueError::Away(why)) if why.contains("denies user")), "{refused:?}");
    Ok(())
}

async fn may_not_consume(queue: &RabbitQueue, source: Source) -> anyhow::Result<()> {
    let mut consumer = queue.consume(source, 10).await?;
    let refused = tokio::time::timeout(PATIENCE, consumer.receive(1)).await?;
    ensure!(matches!(&refused, Err(QueueError::Fatal(why)) if why.contains("denies user")), "{refused:?}");
    Ok(())
}

fn events() -> Route {
    Route::Events("a.b".to_owned())
}

fn notices() -> Route {
    Route::Notices("endpoint.changed".to_owned())
}

fn delay() -> Route {
    Route::Delay(Tier::new(HOPS[0]), Lane::Slow)
}

fn jobs(lane: Lane) -> Route {
    Route::Jobs(lane)
}

#[tokio::test]
async fn rule_24_every_role_does_its_work() -> anyhow::Result<()> {
    let vhost = declared().await?;
    may(&*user(&vhost, Role::Upstream).await?, &[events()], &[]).await?;
    may(&*user(&vhost, Role::Api).await?, &[events(), notices()], &[]).await?;
    let ingested = [jobs(Lane::Live), jobs(Lane::Bulk), parking(), notices()];
    may(&*user(&vhost, Role::Ingest).await?, &ingested, &[Source::Events, Source::Events]).await?;
    let sent = [Route::Outcomes, delay(), jobs(Lane::Slow), parking()];
    may(&*user(&vhost, Role::Sender).await?, &sent, &Lane::ALL.map(Source::Jobs)).await?;
    let tracked = [delay(), jobs(Lane::Slow), events(), notices(), parking()];
    may(&*user(&vhost, Role::Tracker).await?, &tracked, &[Source::Outcomes]).await?;
    let back = [events(), jobs(Lane::Slow), Route::Outcomes, parking()];
    may(&*user(&vhost, Role::Redrive).await?, &back, &[Source::Parking; 4]).await
}

#[tokio::test]
async fn rule_24_only_the_redrive_user_walks_through_parking() -> anyhow::Result<()> {
    let vhost = declared().await?;
    let ingest = user(&vhost, Role::Ingest).await?;
    ingest.publisher().publish(vec![message(parking(), "parked")]).await?;
    let walk = async |role| -> anyhow::Result<_> {
        let parking: Arc<dyn Parking> = Arc::new(RabbitParking::new(&options(&url_of(&vhost, role).await?))?);
        Ok(parking.settle(&Selection::default(), ParkedFate::Redrive, 10).await)
    };
    for role in [Role::Api, Role::Ingest, Role::Sender, Role::Tracker] {
        let refused = walk(role).await?;
        // The users of a test bear more than the role in their names.
        let words = format!("denies user `{role}_");
        ensure!(
            matches!(&refused, Err(ParkingError::Denied(why)) if why.contains(&words) && why.contains("whimbrel.parking.v1")),
            "{role}: {refused:?}"
        );
    }
    let walked = walk(Role::Redrive).await??;
    ensure!(walked.redriven == 1, "{walked:?}");
    Ok(())
}

#[tokio::test]
async fn what_no_queue_took_goes_back_once_there_is_one() -> anyhow::Result<()> {
    let vhost = declared().await?;
    let late = serde_json::json!({"headers": {"x-death": "not the broker's"}});
    vhost.publish("whimbrel.delay", "7s.bulk", &late, b"a job").await?;
    vhost.publish("whimbrel.jobs", "nowhere", &late, b"lost").await?;
    let parking: Arc<dyn Parking> = Arc::new(RabbitParking::new(&options(&url_of(&vhost, Role::Redrive).await?))?);
    let (found, _) = parking.list(&Selection::default(), 10).await?;
    let seen: Vec<_> = found.iter().map(|parked| (parked.word(), parked.source)).collect();
    ensure!(seen == [("unroutable", Some(Source::Jobs(Lane::Bulk))), ("unroutable", None)], "{found:?}");
    let walk = parking.settle(&Selection::default(), ParkedFate::Redrive, 10).await?;
    ensure!(walk.redriven == 1 && walk.stuck == 1, "{walk:?}");
    let sender = user(&vhost, Role::Sender).await?;
    let back = next(&mut *sender.consume(Source::Jobs(Lane::Bulk), 10).await?).await?;
    ensure!(&back.payload[..] == b"a job" && back.headers.is_empty(), "{back:?}");
    Ok(())
}

#[tokio::test]
async fn rule_24_api_ingest_and_sender_hear_notices() -> anyhow::Result<()> {
    let vhost = declared().await?;
    let tracker = user(&vhost, Role::Tracker).await?;
    for role in [Role::Api, Role::Ingest, Role::Sender] {
        let queue = user(&vhost, role).await?;
        let mut listener = queue.consume(Source::Notices, 10).await?;
        tracker.publisher().publish(vec![message(notices(), "said")]).await?;
        let heard = next(&mut *listener).await?;
        ensure!(&heard.payload[..] == b"said", "{role} heard something else");
    }
    Ok(())
}

#[tokio::test]
async fn rule_24_nobody_does_the_work_of_others() -> anyhow::Result<()> {
    let vhost = declared().await?;
    may_not_publish(&*user(&vhost, Role::Upstream).await?, jobs(Lane::Live)).await?;
    may_not_publish(&*user(&vhost, Role::Api).await?, jobs(Lane::Live)).await?;
    may_not_publish(&*user(&vhost, Role::Ingest).await?, Route::Outcomes).await?;
    may_not_publish(&*user(&vhost, Role::Sender).await?, events()).await?;
    may_not_publish(&*user(&vhost, Role::Tracker).await?, Route::Outcomes).await?;
    may_not_consume(&*user(&vhost, Role::Api).await?, Source::Events).await?;
    may_not_consume(&*user(&vhost, Role::Ingest).await?, Source::Jobs(Lane::Live)).await?;
    may_not_consume(&*user(&vhost, Role::Sender).await?, Source::Outcomes).await?;
    may_not_consume(&*user(&vhost, Role::Tracker).await?, Source::Parking).await?;
    let declared = topology::declare(&url_of(&vhost, Role::Tracker).await?, &Topology::new(&tiers())).await;
    ensure!(declared.is_err_and(|error| error.to_string().contains("refused")), "the tracker declared");
    Ok(())
}
