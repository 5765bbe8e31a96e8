//! A backup of PostgreSQL, restored while the broker keeps its queues; and retention by the tables' owner.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use whimbrel_core::EventId;
use whimbrel_core::port::{Clock, SystemClock};
use whimbrel_testkit::postgres;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{Kind, SOON, Servers, System, finish, metric};

/// PostgreSQL comes back as it was some time ago, the queues as they are: every event of before the backup is
/// delivered and logged; of what came after it, jobs are still sent and their outcomes counted as unknown (rule 28),
/// events not yet fanned out are delivered; new ones flow, and nothing crashes.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_a_database_older_than_the_queues() -> Result<()> {
    let folder = TempDir::new()?;
    let dump = folder.path().join("dump");
    let receiver = Receiver::start().await?;
    receiver.on("/flaky", vec![Step::status(503); 10].into_iter().chain([Step::status(200)]));
    let mut system = System::start(Kind::Distributed).await?;
    system.api.create_webhook(&receiver.url("/ok"), &["order.ok"]).await?;
    system.api.create_webhook(&receiver.url("/flaky"), &["order.flaky"]).await?;
    let delivered = system.api.publish_many("order.ok", 10).await?;
    let retrying = system.api.publish_many("order.flaky", 10).await?;
    for event in &delivered {
        system.api.settled(event, "success").await?;
    }
    for event in &retrying {
        system
            .api
            .delivery_when(event, |delivery| delivery["attempts"] == 1 || delivery["status"] == "success")
            .await?;
    }

    system.role("sender").terminate(SOON).await?;
    let Servers::Shared(database, _) = &system.servers else { anyhow::bail!("shared servers") };
    postgres::dump(database.url(), &dump).await?;
    // Fanned out after the backup, their jobs in the queue.
    let forgotten = system.api.publish_many("order.ok", 10).await?;
    for event in &forgotten {
        system.api.settled(event, "pending").await?;
    }
    // Accepted, and still in the queue of events.
    system.role("ingest").terminate(SOON).await?;
    let waiting = system.api.publish_many("order.ok", 5).await?;
    let Servers::Shared(_lost, vhost) = system.stop().await? else { anyhow::bail!("shared servers") };

    let restored = postgres::database().await?;
    postgres::restore(restored.url(), &dump).await?;
    let mut system = System::on(restored, vhost, &[]).await?;
    for event in delivered.iter().chain(&retrying).chain(&waiting) {
        system.api.settled(event, "success").await?;
    }
    let tracker = system.role("tracker");
    wait::until("the outcomes of unknown deliveries are counted", SOON, || async {
        let unknown = metric(tracker, "whimbrel_outcomes_unknown_total").await.ok()?;
        (unknown >= 10.0).then_some(())
    })
    .await?;
    for event in &forgotten {
        let (status, _) = system.api.call(Method::GET, &format!("/v1/events/{event}"), None).await?;
        assert_eq!(status, StatusCode::NOT_FOUND, "the log ends at the backup");
        assert!(receiver.requests().iter().any(|request| request.header("webhook-id") == Some(event)), "it was sent");
    }
    let new = system.api.publish("order.ok", "{}").await?;
    system.api.settled(&new, "success").await?;
    assert!(system.processes.iter().all(|process| process.exit_status().is_none()));
    Ok(())
}

/// The queues are gone, PostgreSQL is not: the sweep brings back whatever was on its way (rule 18).
#[tokio::test(flavor = "multi_thread")]
async fn rule_18_queues_that_were_lost_are_filled_from_the_store() -> Result<()> {
    let receiver = Receiver::start().await?;
    let grace = [("WHIMBREL_TRACKER__SWEEP_GRACE", "1s")];
    let mut system = System::with(Kind::Distributed, &grace).await?;
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    system.role("sender").terminate(SOON).await?;
    let events = system.api.publish_many("order.created", 20).await?;
    for event in &events {
        system.api.settled(event, "pending").await?;
    }
    let Servers::Shared(database, _lost) = system.stop().await? else { anyhow::bail!("shared servers") };
    let system = System::on(database, whimbrel_testkit::rabbitmq::vhost().await?, &grace).await?;
    for event in &events {
        system.api.settled(event, "success").await?;
    }
    Ok(())
}

/// An export of one event that is forty days old and whose delivery still waits for its first attempt.
fn forty_days_old(endpoint: &str) -> (EventId, String) {
    let at = SystemClock.now().before(Duration::from_hours(40 * 24));
    let event = EventId::generate(at, SystemClock.random10());
    let lines = [
        json!({"header": {"format": 1, "whimbrel": "0.0.0", "exported_at": at}}),
        json!({"event": {
            "id": event, "tenant": "default", "type": "order.created", "occurred_at": at,
            "body": data_encoding::BASE64.encode(b"{}"), "data": [0, 2],
            "deliveries": [{
                "endpoint": endpoint, "state": "pending", "round": 1, "first_attempt": 1, "attempt": 1, "attempts": 0,
                "log": [],
            }],
        }}),
        json!({"end": {
            "tenants": 0, "keys": 0, "event_types": 0, "endpoints": 0, "idempotency_keys": 0, "events": 1,
        }}),
    ];
    (event, lines.map(|line| line.to_string()).join("\n"))
}

/// What still waits is expired before its day is dropped; younger days stay.
#[tokio::test(flavor = "multi_thread")]
async fn rule_28_prune_expires_and_then_removes() -> Result<()> {
    let folder = TempDir::new()?;
    let file = folder.path().join("export.jsonl");
    let mut system = System::start(Kind::Distributed).await?;
    // It would remove the old day itself.
    system.role("tracker").terminate(SOON).await?;
    let (webhook, _) = system.api.create_webhook("https://example.com/", &["order.old"]).await?;
    let (old, lines) = forty_days_old(&webhook);
    std::fs::write(&file, lines)?;
    finish(system.command("import").arg("--in").arg(file.display().to_string())).await?;
    let path = format!("/v1/events/{old}");
    let young = system.api.publish("order.created", "{}").await?;
    wait::until("the young event is in the log", SOON, || async {
        system.api.get(&format!("/v1/events/{young}")).await.ok()
    })
    .await?;
    let prune = async |age: &str| -> Result<String> {
        let lines = finish(system.command("prune").arg("--before").arg(age)).await?;
        lines.into_iter().find(|line| line.starts_with("older than")).context("a summary")
    };
    let nothing = prune("50d").await?;
    assert!(nothing.ends_with("expired now: 0; days of the log removed: 0"), "{nothing}");
    assert_eq!(system.api.get(&path).await?["deliveries"][0]["status"], "pending");
    let removed = prune("30d").await?;
    assert!(removed.ends_with("expired now: 1; days of the log removed: 1"), "{removed}");
    assert_eq!(system.api.call(Method::GET, &path, None).await?.0, StatusCode::NOT_FOUND);
    system.api.get(&format!("/v1/events/{young}")).await?;
    Ok(())
}
