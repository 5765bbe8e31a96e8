//! The sweep (rule 18): what the queue lost, the store brings back; a queue that is only long is left alone.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::wait;

use crate::harness::{SOON, Servers, System, metric, on_both_engines};

/// Deliveries that wait for their retry when the queues are emptied.
const RETRYING: usize = 1_000;
/// Deliveries whose first attempt is still to be made.
const PENDING: usize = 4_000;
const GRACE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(2);

/// Everything that waits, gone: jobs, delayed jobs, outcomes. Events stay: they are not in the store yet.
async fn purge(system: &mut System) -> Result<usize> {
    if let Servers::None = system.servers {
        let process = &mut system.processes[0];
        process.kill9().await;
        let lost = delete_messages(&process.data_dir().join("whimbrel.db")).await?;
        process.start_again()?;
        process.ready(SOON).await?;
        return Ok(lost);
    }
    let vhost = system.servers.vhost();
    let mut lost = 0;
    for (queue, depth) in vhost.depths().await? {
        if ["whimbrel.jobs.", "whimbrel.delay.", "whimbrel.outcomes."].iter().any(|begin| queue.starts_with(begin)) {
            lost += usize::try_from(depth)?;
            vhost.purge(&queue).await?;
        }
    }
    Ok(lost)
}

/// In the embedded engine's file, by Python's own SQLite.
async fn delete_messages(file: &Path) -> Result<usize> {
    const SCRIPT: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=10); \
        n = c.execute(\"DELETE FROM messages WHERE queue <> 'events'\").rowcount; c.commit(); print(n)";
    let output = tokio::process::Command::new("python3").arg("-c").arg(SCRIPT).arg(file).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

async fn republished(system: &mut System) -> Result<f64> {
    metric(system.role("tracker"), "whimbrel_sweep_republished_total").await
}

on_both_engines! {
    /// 5,000 deliveries under way, and every queue emptied under load: all of them arrive after the sweep, with no more
    /// duplicates than jobs were under way.
    async fn rule_18_emptied_queues_lose_nothing(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.on("/failing", (0..RETRYING).map(|_| Step::status(500)).chain([Step::status(200)]));
        receiver.on("/slow", [Step::status(200).after(Duration::from_secs(2))]);
        let grace = format!("{}s", GRACE.as_secs());
        // The first retry after 15 seconds: still in its tier when the queues are emptied.
        let variables = [("WHIMBREL_TRACKER__SWEEP_GRACE", grace.as_str()), ("WHIMBREL_RETRY_SCALE", "0.5")];
        let mut system = System::with(kind, &variables).await?;
        let api = system.api.create_tenant("acme", "generic").await?;
        let (failing, _) = api.create_webhook(&receiver.url("/failing"), &["failing.*"]).await?;
        let (slow, _) = api.create_webhook(&receiver.url("/slow"), &["slow.*"]).await?;
        let mut events = api.publish_many("failing.event", RETRYING).await?;
        receiver.wait_for(RETRYING, SOON).await?;
        events.extend(api.publish_many("slow.event", PENDING).await?);
        wait::until("all are stored", SOON, || async {
            let made = api.count(&slow, "pending").await.ok()? + api.count(&slow, "success").await.ok()?;
            (made == PENDING as u64).then_some(())
        })
        .await?;
        ensure!(republished(&mut system).await? == 0.0, "nothing is swept in health");
        let lost = purge(&mut system).await?;
        assert!(lost > 0, "something was in the queues");
        receiver.on("/slow", [Step::status(200)]);
        wait::until("every delivery has succeeded", LONG, || async {
            let done = api.count(&failing, "success").await.ok()? + api.count(&slow, "success").await.ok()?;
            (done == events.len() as u64).then_some(())
        })
        .await?;
        let mut arrivals: HashMap<String, usize> = HashMap::new();
        for request in receiver.requests() {
            let id = request.json()["id"].as_str().context("an id")?.to_owned();
            *arrivals.entry(id).or_default() += 1;
        }
        let missing = events.iter().filter(|id| !arrivals.contains_key(*id)).count();
        assert_eq!(missing, 0);
        let duplicates = receiver.count() - RETRYING - events.len();
        println!("{lost} messages lost, {duplicates} duplicates of {}, {} swept", events.len(), republished(&mut system).await?);
        assert!(duplicates <= events.len(), "{duplicates}");
        assert!(republished(&mut system).await? >= 1.0);
    }

    /// A lane that is only slow is asked with a few jobs, and left alone.
    async fn rule_18_a_long_queue_is_not_made_longer(kind: Kind) {
        let receiver = Receiver::start().await?;
        receiver.otherwise([Step::status(200).after(Duration::from_millis(400))]);
        let variables = [("WHIMBREL_TRACKER__SWEEP_GRACE", "2s"), ("WHIMBREL_SENDER__ENDPOINT_IN_FLIGHT", "1000"),
            ("WHIMBREL_SENDER__LIVE_SLOTS", "20")];
        let mut system = System::with(kind, &variables).await?;
        let (webhook, _) = system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let events = system.api.publish_many("order.created", 400).await?;
        let api = system.api.clone();
        wait::until("every delivery has succeeded", LONG, || async {
            (api.count(&webhook, "success").await.ok()? == events.len() as u64).then_some(())
        })
        .await?;
        let (posts, swept) = (receiver.count(), republished(&mut system).await?);
        println!("{posts} POSTs of 400, {swept} published again");
        // The order of a lane is nearly that of its messages: what was not started for long goes to its end.
        assert!(swept <= 120.0, "{swept} of 400 were published again, though none was lost");
        assert!(posts <= 410, "{posts}: what was published in vain is dropped");
    }
}
