//! The end of a suspension: what was held goes out by window in event order, or is dropped; whatever is restarted
//! meanwhile, and never ahead of live traffic (rules 7 to 9).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whimbrel_core::EventId;
use whimbrel_testkit::receiver::{Receiver, Request, Step};
use whimbrel_testkit::wait;

use crate::harness::{Api, SOON, System, on_both_engines};

/// Events published while the endpoint is suspended.
const HELD: usize = 10_000;
/// The default of `tracker.window`.
const WINDOW: usize = 128;
/// How long so many deliveries may take on a slow machine: behind live traffic they go out at 250 a second or more.
const LONG: Duration = Duration::from_mins(4);

/// A suspended endpoint with [`HELD`] held deliveries, and a healthy one.
struct Backlog {
    receiver: Receiver,
    system: System,
    webhook: String,
    events: Vec<String>,
}

impl Backlog {
    /// Suspended by a 410 under load; then every process is killed and started again.
    async fn make(kind: crate::harness::Kind) -> Result<Self> {
        let receiver = Receiver::start().await?;
        receiver.on("/bulk", (0..20).map(|_| Step::status(200)).chain([Step::status(410)]));
        let mut system = System::start(kind).await?;
        let api = system.api.clone();
        let (webhook, _) = api.create_webhook(&receiver.url("/bulk"), &["bulk.*"]).await?;
        api.create_webhook(&receiver.url("/live"), &["live.*"]).await?;
        api.publish_many("bulk.warmup", 100).await?;
        wait::until("the endpoint is suspended", SOON, || async {
            (api.get(&format!("/v1/webhooks/{webhook}")).await.ok()?["status"] == "suspended").then_some(())
        })
        .await?;
        let events = api.publish_many("bulk.event", HELD).await?;
        wait::until("all are held", LONG, || async {
            (api.count(&webhook, "held").await.ok()? >= HELD as u64).then_some(())
        })
        .await?;
        for process in &mut system.processes {
            process.kill9().await;
        }
        for process in &mut system.processes {
            process.start_again()?;
        }
        for process in &system.processes {
            process.ready(SOON).await?;
        }
        receiver.on("/bulk", [Step::status(200)]);
        Ok(Self { receiver, system, webhook, events })
    }

    async fn activate(&self, held: &str) -> Result<Value> {
        let path = format!("/v1/webhooks/{}/activate", self.webhook);
        self.system.api.ok(Method::POST, &path, Some(&json!({"held": held}))).await
    }

    /// Waits until the replay that activation began has ended; gives its last view.
    async fn ended(&self, activated: &Value) -> Result<Value> {
        let id = activated["replay"]["id"].as_str().with_context(|| format!("no replay in {activated}"))?;
        wait::until("the replay has ended", LONG, || async {
            let replay = self.system.api.get(&format!("/v1/replays/{id}")).await.ok()?;
            (replay["status"] == "done").then_some(replay)
        })
        .await
    }
}

/// Live events, one after the other, until told to stop: how long each took from its acceptance to its receipt.
async fn live(api: Api, receiver: Arc<Receiver>, stop: CancellationToken) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while !stop.is_cancelled() {
        let event = api.publish("live.event", "{}").await?;
        let accepted = Instant::now();
        let requests = receiver.wait_until(|all| all.iter().any(|one| is(one, &event)), SOON).await?;
        let arrived = requests.iter().find(|one| is(one, &event)).context("it came")?.arrived;
        took.push(arrived.saturating_duration_since(accepted));
    }
    took.sort_unstable();
    Ok(took)
}

fn is(request: &Request, event: &str) -> bool {
    request.header("webhook-id") == Some(event)
}

fn p99(took: &[Duration]) -> Duration {
    took.get(took.len() * 99 / 100).copied().unwrap_or_default()
}

/// Each delivery may start before at most a window of earlier ones, as the events' times order them.
fn started_in_order(requests: &[Arc<Request>], events: &[String]) -> Result<()> {
    let millis = |id: &str| -> Result<i64> { Ok(id.parse::<EventId>()?.created_at().as_millis()) };
    let mut times: Vec<i64> = events.iter().map(|id| millis(id)).collect::<Result<_>>()?;
    times.sort_unstable();
    let wanted: HashSet<&str> = events.iter().map(String::as_str).collect();
    let arrived = requests.iter().filter_map(|request| request.header("webhook-id")).filter(|id| wanted.contains(id));
    for (place, id) in arrived.enumerate() {
        let at = millis(id)?;
        let earlier = times.partition_point(|time| *time < at);
        assert!(earlier <= place + WINDOW, "{id} came {place}th, {earlier} events are older");
    }
    Ok(())
}

on_both_engines! {
    /// Suspended under load, 10,000 events, every process killed, activated: all arrive once, in event order within the
    /// window, while live events go by.
    async fn rule_08_a_release_survives_restarts_and_keeps_the_order(kind: Kind) {
        let Backlog { receiver, system, webhook, events } = Backlog::make(kind).await?;
        let receiver = Arc::new(receiver);
        let quiet = CancellationToken::new();
        let before = tokio::spawn(live(system.api.clone(), receiver.clone(), quiet.clone()));
        receiver.wait_for(receiver.count() + 50, SOON).await?;
        quiet.cancel();
        let before = before.await??;
        let stop = CancellationToken::new();
        let during = tokio::spawn(live(system.api.clone(), receiver.clone(), stop.clone()));
        let path = format!("/v1/webhooks/{webhook}/activate");
        let activated = system.api.ok(Method::POST, &path, Some(&json!({"held": "release"}))).await?;
        let id = activated["replay"]["id"].as_str().context("a replay")?;
        let ended = wait::until("the release has ended", LONG, || async {
            let replay = system.api.get(&format!("/v1/replays/{id}")).await.ok()?;
            (replay["status"] == "done").then_some(replay)
        })
        .await?;
        stop.cancel();
        let during = during.await??;
        assert!(during.len() > 10, "live events went by while the release went on: {}", during.len());
        println!("live p99: {:?} before ({}), {:?} during the release ({})", p99(&before), before.len(), p99(&during), during.len());
        assert!(ended["started"].as_u64() >= Some(HELD as u64), "{ended}");
        let requests = receiver.requests();
        let mut arrivals: HashMap<&str, usize> = HashMap::new();
        for id in requests.iter().filter_map(|request| request.header("webhook-id")) {
            *arrivals.entry(id).or_default() += 1;
        }
        let wrong: Vec<_> = events.iter().filter(|id| arrivals.get(id.as_str()) != Some(&1)).collect();
        assert!(wrong.is_empty(), "{} of {HELD} did not arrive exactly once", wrong.len());
        started_in_order(&requests, &events)?;
        assert_eq!(system.api.count(&webhook, "held").await?, 0);
    }

    /// The same, but the owner does not want them any more.
    async fn dropped_deliveries_are_cancelled_and_new_ones_flow(kind: Kind) {
        let backlog = Backlog::make(kind).await?;
        let api = &backlog.system.api;
        let before = backlog.receiver.count();
        let activated = backlog.activate("drop").await?;
        assert_eq!(activated["status"], "active", "{activated}");
        backlog.ended(&activated).await?;
        assert_eq!(api.count(&backlog.webhook, "held").await?, 0);
        assert!(api.count(&backlog.webhook, "cancelled").await? >= HELD as u64);
        let event = api.publish("bulk.event", "{}").await?;
        api.settled(&event, "success").await?;
        assert_eq!(backlog.receiver.count(), before + 1, "nothing that was dropped is sent");
        assert_eq!(backlog.events.len(), HELD);
    }

    /// Rule 8: what is held while a release runs, or after it looked for the last time, is found as well.
    async fn rule_08_what_is_held_late_is_found_by_the_sweep(kind: Kind) {
        let receiver = Receiver::start().await?;
        let system = System::start(kind).await?;
        let api = &system.api;
        let (webhook, _) = api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let path = format!("/v1/webhooks/{webhook}");
        // Jobs on their way to an endpoint that its owner stops: held at the sender, and the owner's second thoughts
        // come at once.
        for _ in 0..10 {
            api.ok(Method::PATCH, &path, Some(&json!({"active": true}))).await?;
            api.publish_many("order.created", 20).await?;
            api.ok(Method::PATCH, &path, Some(&json!({"active": false}))).await?;
        }
        api.ok(Method::PATCH, &path, Some(&json!({"active": true}))).await?;
        wait::until("every delivery that was made has succeeded", SOON, || async {
            let statuses = api.statuses(&webhook).await.ok()?;
            statuses.iter().all(|status| status == "success").then_some(())
        })
        .await?;
    }
}
