//! h: what live traffic notices while a suspended endpoint gets everything that was held for it.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use whimbrel_testkit::wait;

use super::latency::count;
use super::stretch::Stretch;
use crate::bench::Bench;
use crate::floor::Packing;
use crate::load::Events;
use crate::meter::{float, float_of};
use crate::receiver::{Behaviour, Receipts, Targets};
use crate::result::{Measured, Percentiles, Scenario};
use crate::round::{Load, PATIENCE, Round};
use crate::system::{Engine, Setup};

const HELD: usize = 0;
const LIVE: usize = 1;
/// Live events a second.
const PER_SECOND: u32 = 100;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let (held, receiver) = (bench.sizes.held, &bench.receiver);
    let mut round = Round::start(bench, engine, &Setup::default(), vec![Behaviour::Answer; 2], false).await?;
    let live = count(PER_SECOND, bench.sizes.isolation);
    // The first one is answered with 410.
    let targets = [vec![HELD; 1 + held], vec![LIVE; 2 * live]].concat();
    let events = Events::new(1 + held + 2 * live, Targets::One(targets));

    round.behave(HELD, Behaviour::Gone);
    receiver.expect(round.plan(events.count(), events.targets(), None));
    let webhook = suspend(&round, &events).await?;
    round.publish(Load::HttpBatches, &events.part(1, held)).await?;
    until_held(&round, &webhook, held).await?;
    round.behave(HELD, Behaviour::Answer);
    receiver.expect(round.plan(events.count(), events.targets(), None));

    let load = Load::HttpPaced(f64::from(PER_SECOND));
    let name = format!("{PER_SECOND} events/s, {held} held");
    let calm = Stretch::run(bench, &round, name, load, &events.part(1 + held, live)).await?;
    let path = format!("/v1/webhooks/{webhook}/activate");
    let begun = receiver.now_us();
    round.system.call(Method::POST, &path, Some(&json!({"held": "release"}))).await?;
    let name = format!("{PER_SECOND} events/s while {held} are released");
    let mut busy = Stretch::run(bench, &round, name, load, &events.part(1 + held + live, live)).await?;
    // Nearly all of it is the release.
    busy.packing = Packing::Full;
    let all = || receiver.look(|tally| tally.arrived(1, 1 + held));
    let _ = wait::until("all have come", PATIENCE * 2, || async { (all() == held).then_some(()) }).await;

    let receipts = receiver.take();
    let figures = |stretch: &Stretch| stretch.figures(Scenario::Release, &round, &receipts, |_, count| count);
    let (calm, mut busy) = (figures(&calm), beside(&busy, figures(&busy), &receipts, held));
    compare(&mut busy, &calm);
    released(&mut busy, &receipts, begun, held);
    round.system.discard(&bench.servers).await?;
    Ok(vec![calm, busy])
}

/// Suspends the endpoint by its answer to the first event; gives its id.
async fn suspend(round: &Round<'_>, events: &Events) -> Result<String> {
    round.publish(Load::HttpBatches, &events.part(0, 1)).await?;
    wait::until("the endpoint is suspended", PATIENCE, || async {
        let list = round.system.call(Method::GET, "/v1/webhooks", None).await.ok()?;
        let webhooks = list["webhooks"].as_array()?;
        let found = webhooks.iter().find(|webhook| webhook["status"] == "suspended")?;
        found["id"].as_str().map(str::to_owned)
    })
    .await
}

async fn until_held(round: &Round<'_>, webhook: &str, held: usize) -> Result<()> {
    let path = format!("/v1/webhooks/{webhook}/stats");
    wait::until("all are held", PATIENCE * 2, || async {
        let stats = round.system.call(Method::GET, &path, None).await.ok()?;
        (stats["deliveries"]["held"].as_u64()? >= held as u64).then_some(())
    })
    .await
    .context("the endpoint's deliveries")
}

/// Latencies of those events alone that were published while the release went on.
fn beside(stretch: &Stretch, mut measured: Measured, receipts: &Receipts, held: usize) -> Measured {
    let end = receipts.first_us[1..=held].iter().copied().max().unwrap_or(0);
    let first = &receipts.first_us[stretch.events.0..stretch.events.1];
    let during = stretch.sent.iter().zip(first).filter(|(sent, first)| **sent < end && **first > 0);
    let latencies: Vec<u64> = during.map(|(sent, first)| first.saturating_sub(*sent)).collect();
    measured.further.insert("events published meanwhile".into(), float_of(latencies.len()));
    measured.latency_ms = Percentiles::of(latencies);
    measured
}

fn compare(busy: &mut Measured, calm: &Measured) {
    if let (Some(with), Some(without)) = (busy.latency_ms, calm.latency_ms) {
        busy.further.insert("p99, times that before".into(), with.p99 / without.p99);
    }
}

/// How fast the held ones went out; what is missing or repeated is a fault.
fn released(busy: &mut Measured, receipts: &Receipts, begun: u64, held: usize) {
    let counts = || receipts.counts[1..=held].iter().copied().map(u64::from);
    let sent: u64 = counts().map(|count| count.min(1)).sum();
    busy.faults.missing += held as u64 - sent;
    busy.faults.repeated += counts().sum::<u64>() - sent;
    let end = receipts.first_us[1..=held].iter().copied().max().unwrap_or(begun);
    let seconds = Duration::from_micros(end.saturating_sub(begun)).as_secs_f64();
    busy.further.insert("released a second".into(), if seconds > 0.0 { float(sent) / seconds } else { 0.0 });
}
