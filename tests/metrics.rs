//! What operators see: the alert rules by Prometheus' own tool, and the metrics they ask for in a system under load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use whimbrel_testkit::receiver::{Receiver, Step};
use whimbrel_testkit::{http, wait};

use crate::harness::{Kind, SOON, System};

const ORDER: &str = r#"{"id":"order_1"}"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the repository").to_path_buf()
}

/// `promtool` in the folder of the rules, with something to read.
async fn promtool(arguments: &[&str], input: &str) -> Result<()> {
    let setup = Command::new(root().join("tests/prometheus/setup")).status().await?;
    ensure!(setup.success(), "tests/prometheus/setup failed");
    let mut child = Command::new(root().join("target/prometheus/promtool"))
        .args(arguments)
        .current_dir(root().join("deploy/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes()).await?;
    let Output { status, stdout, stderr } = child.wait_with_output().await?;
    let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    ensure!(status.success(), "promtool {arguments:?}: {said}");
    Ok(())
}

#[tokio::test]
async fn the_alert_rules_and_the_scrape_configuration_are_valid() -> Result<()> {
    promtool(&["check", "rules", "whimbrel.rules.yaml"], "").await?;
    promtool(&["check", "config", "prometheus.yaml"], "").await
}

#[tokio::test]
async fn each_alert_fires_when_it_should_and_only_then() -> Result<()> {
    promtool(&["test", "rules", "tests.yaml"], "").await
}

/// The names that the rules ask for, as they stand in a scrape.
fn asked_for() -> Result<BTreeSet<String>> {
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/whimbrel.rules.yaml"))?;
    let words = rules.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let names: BTreeSet<String> = words.filter(|word| word.starts_with("whimbrel_")).map(str::to_owned).collect();
    ensure!(names.len() >= 10, "{names:?}");
    Ok(names)
}

/// What each process exports.
async fn scrape(system: &System) -> Result<Vec<String>> {
    let mut scrapes = Vec::new();
    for process in &system.processes {
        scrapes.push(http::client().get(process.ops_url("/metrics")).send().await?.error_for_status()?.text().await?);
    }
    Ok(scrapes)
}

/// Per name the sum over processes and label sets.
fn totals(scrapes: &[String]) -> BTreeMap<String, f64> {
    let mut totals = BTreeMap::new();
    for line in scrapes.iter().flat_map(|scrape| scrape.lines()).filter(|line| !line.starts_with('#')) {
        if let Some((series, value)) = line.rsplit_once(' ') {
            let name = series.split('{').next().unwrap_or(series);
            *totals.entry(name.to_owned()).or_default() += value.parse::<f64>().unwrap_or(f64::NAN);
        }
    }
    totals
}

/// Deliveries that succeed, fail until their endpoint is suspended, and an event that is parked.
async fn load(system: &System, receiver: &Receiver) -> Result<()> {
    receiver.on("/failing", [Step::status(500)]);
    system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let bits = system.api.create_tenant("bits", "bitbybit").await?;
    bits.create_webhook(&receiver.url("/failing"), &["*"]).await?;
    system.api.publish_many("order.created", 50).await?;
    for _ in 0..3 {
        bits.publish("order.created", ORDER).await?;
    }
    let nobody = json!({"content_type": "application/json", "message_id": "1", "type": "order.created", "headers": {"tenant": "nobody"}});
    system.servers.vhost().publish("whimbrel.events", "upstream", &nobody, b"{}").await
}

/// After [`load`] one delivers and one is suspended; every status is there.
async fn endpoints_are_counted(system: &System) -> Result<()> {
    let expected = [("active", 1), ("suspended", 1), ("disabled", 0)];
    wait::until("every status of endpoints is counted", SOON, || async {
        let scrapes = scrape(system).await.ok()?;
        let shows = |(state, count)| {
            let series = format!("whimbrel_endpoints{{state=\"{state}\"}} {count}");
            scrapes.iter().flat_map(|scrape| scrape.lines()).any(|line| line == series)
        };
        expected.into_iter().all(shows).then_some(())
    })
    .await
}

/// In health these stay at 0; all else that the rules ask for has moved.
const STILL: [&str; 2] = ["whimbrel_sweep_republished_total", "whimbrel_ping_failures_total"];

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_alert_rules_is_exported_by_a_loaded_system() -> Result<()> {
    let receiver = Receiver::start().await?;
    let system = System::with(Kind::Distributed, &[("WHIMBREL_RETRY_SCALE", "0.002")]).await?;
    load(&system, &receiver).await?;
    let (still, moving): (Vec<String>, Vec<String>) =
        asked_for()?.into_iter().partition(|name| STILL.contains(&name.as_str()));
    let has_moved = |totals: &BTreeMap<String, f64>, name: &String| totals.get(name).is_some_and(|value| *value > 0.0);
    let seen = wait::until("every metric of the rules has moved", SOON, || async {
        let totals = totals(&scrape(&system).await.ok()?);
        moving.iter().all(|name| has_moved(&totals, name)).then_some(totals)
    })
    .await;
    let scrapes = scrape(&system).await?;
    let seen = seen.with_context(|| {
        let totals = totals(&scrapes);
        format!("missing or 0: {:?}", moving.iter().filter(|name| !has_moved(&totals, name)).collect::<Vec<_>>())
    })?;
    for name in still {
        assert_eq!(seen.get(&name), Some(&0.0), "{name}");
    }
    for series in ["whimbrel_queue_depth{queue=\"parking\"} 1\n", "whimbrel_queue_depth{queue=\"unroutable\"} 0\n"] {
        assert!(scrapes.iter().any(|scrape| scrape.contains(series)), "{series}");
    }
    endpoints_are_counted(&system).await?;
    for scrape in &scrapes {
        promtool(&["check", "metrics"], scrape).await?;
    }
    Ok(())
}

/// The tier's counters as the alert compares them: due, come out, and what waits in it by the broker's own word.
async fn tier(system: &System, tier: &str) -> Result<(u64, u64, u64)> {
    let scrapes = scrape(system).await?;
    let sum = |series: &str| {
        let lines = scrapes.iter().flat_map(|scrape| scrape.lines());
        lines.filter_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok()).sum::<u64>()
    };
    let label = format!("{{tier=\"{tier}\"}}");
    Ok((
        sum(&format!("whimbrel_tier_due_total{label}")),
        sum(&format!("whimbrel_tier_left_total{label}")),
        sum(&format!("whimbrel_queue_depth{{queue=\"delay.{tier}\"}}")),
    ))
}

/// RabbitMQ keeps what it cannot dead-letter, and shows nothing ready: what the alert asks for shows it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_tier_is_due_and_gives_nothing_back() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(500)]);
    // Retries after 6 seconds first.
    let system = System::with(Kind::Distributed, &[("WHIMBREL_RETRY_SCALE", "0.2")]).await?;
    let api = system.api.create_tenant("acme", "generic").await?;
    api.create_webhook(&receiver.url("/"), &["*"]).await?;
    let event = api.publish("order.created", ORDER).await?;
    api.settled(&event, "retrying").await?;
    let vhost = system.servers.vhost();
    vhost.management().call(Method::DELETE, &["exchanges", vhost.name(), "whimbrel.jobs"], None).await?;
    wait::until("the retry is due and does not come", SOON, || async {
        let (due, left, ready) = tier(&system, "6s").await.ok()?;
        (due == 1 && left == 0 && ready == 0).then_some(())
    })
    .await?;
    // As the broker counts, it has a message, and none that is ready.
    vhost.wait_for_depth("whimbrel.delay.6s.v1", 1, SOON).await?;
    assert_eq!(receiver.count(), 1);
    Ok(())
}
