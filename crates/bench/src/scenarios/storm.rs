//! e: an endpoint that fails everything, and what fresh traffic to another one notices.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::latency::count;
use super::stretch::Stretch;
use crate::bench::Bench;
use crate::floor::Packing;
use crate::load::Events;
use crate::meter::{float, float_of};
use crate::receiver::{Behaviour, Tally, Targets};
use crate::result::{Measured, Scenario};
use crate::round::{Load, PATIENCE, Round};
use crate::system::{Engine, Setup};

const FAILING: usize = 0;
const HEALTHY: usize = 1;
/// Fresh events a second.
const FRESH: u32 = 50;
/// First delays that some contract has. The shortest is taken that lets all fail before the first is retried.
const DELAYS_SECS: [u32; 4] = [5, 10, 30, 60];
/// First attempts a second that are counted on for that.
const EXPECTED_PER_SECOND: f64 = 2_000.0;
/// How long fresh traffic goes on while retries come out, by the length of a stretch of d: about as long as before they do,
/// so that the two have as many deliveries and their percentiles can be compared.
const COMING_OUT: u32 = 3;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let (storm, receiver) = (bench.sizes.storm, &bench.receiver);
    let delay = first_delay(storm);
    let setup = Setup { first_delay: Some(delay), ..Setup::default() };
    let behaviours = vec![Behaviour::Fail, Behaviour::Answer];
    let round = Round::start(bench, engine, &setup, behaviours, false).await?;

    let coming_out = bench.sizes.isolation * COMING_OUT;
    let fresh = count(FRESH, delay + coming_out + PATIENCE);
    let targets = [vec![FAILING; storm], vec![HEALTHY; fresh]].concat();
    let events = Events::new(storm + fresh, Targets::One(targets));
    receiver.expect(round.plan(events.count(), events.targets(), None));

    let begun = receiver.now_us();
    let name = format!("{storm} first attempts that fail");
    let filled = Stretch::run(bench, &round, name, Load::HttpBatches, &events.part(0, storm)).await?;
    write_out().await?;
    let waiting = float_of(storm * 2) - float(receiver.look(Tally::requests));
    let until_due = (receiver.instant(begun) + delay).saturating_duration_since(tokio::time::Instant::now());

    let load = Load::HttpPaced(f64::from(FRESH));
    let (first, calm) = (storm, count(FRESH, until_due.max(Duration::from_millis(500))));
    let name = format!("{FRESH} fresh events/s, {waiting} deliveries waiting");
    let mut calm = Stretch::run(bench, &round, name, load, &events.part(first, calm)).await?;
    // The others are work in bulk: also retries beside a trickle.
    calm.packing = Packing::Single;
    let (first, busy) = (calm.events.1, count(FRESH, coming_out));
    let name = format!("{FRESH} fresh events/s, their retries coming out");
    let busy = Stretch::run(bench, &round, name, load, &events.part(first, busy)).await?;

    let receipts = receiver.take();
    let retried = receipts.counts[..storm].iter().filter(|count| **count > 1).count();
    // Repeats of the failing ones are no faults.
    let is_new = |event: usize, count: u8| if event < storm { count.min(1) } else { count };
    let figures = |stretch: &Stretch| stretch.figures(Scenario::Storm, &round, &receipts, is_new);
    let mut measured: Vec<Measured> = [filled, calm, busy].iter().map(figures).collect();
    measured[1].further.insert("deliveries waiting in tiers".into(), waiting);
    measured[2].further.insert("deliveries retried meanwhile".into(), float_of(retried));
    round.system.discard(&bench.servers).await?;
    Ok(measured)
}

/// Has the kernel write what it still holds for files: it would do so of itself 30 s after, just when the retries come
/// out, and for 50 ms nothing would be durable.
async fn write_out() -> Result<()> {
    let directory = whimbrel_testkit::servers::build_dir()?;
    let status = tokio::process::Command::new("sync").arg("-f").arg(directory).status().await?;
    ensure!(status.success(), "sync failed: {status}");
    Ok(())
}

fn first_delay(storm: usize) -> Duration {
    let needed = float_of(storm) / EXPECTED_PER_SECOND;
    let delay = DELAYS_SECS.into_iter().find(|secs| f64::from(*secs) >= needed).unwrap_or(60);
    Duration::from_secs(delay.into())
}
