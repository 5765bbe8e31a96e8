//! g: more sender processes, and a thousand times as many endpoints.

use std::time::Duration;

use anyhow::Result;

use super::fanout::CONCURRENCY;
use super::latency::count;
use crate::bench::Bench;
use crate::load::Events;
use crate::receiver::{Behaviour, Targets};
use crate::result::{Measured, Scenario};
use crate::round::{Case, Load, Round};
use crate::system::{Engine, Setup};

/// POSTs under way in each sender: few, so that processes are what is short, and not this machine.
const SLOTS: u32 = 32;
const RECEIVER_DELAY: Duration = Duration::from_millis(100);
/// What one process can deliver then.
const PER_SECOND: u32 = SLOTS * 10;
const FEW: usize = 10;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    if engine == Engine::Distributed {
        measured.extend(processes(bench).await?);
    }
    let few = endpoints(bench, engine, FEW).await?;
    let mut many = endpoints(bench, engine, bench.sizes.endpoints).await?;
    many.further.insert("CPU, times that with 10 endpoints".into(), many.total_us() / few.total_us());
    measured.extend([few, many]);
    Ok(measured)
}

/// One, two and four of them.
async fn processes(bench: &Bench) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = Vec::new();
    for senders in [1, 2, 4] {
        let mut one = with_senders(bench, senders).await?;
        let first = measured.first().map_or(one.per_second, |first| first.per_second);
        one.further.insert("deliveries/s, times those of one process".into(), one.per_second / first);
        measured.push(one);
    }
    Ok(measured)
}

async fn with_senders(bench: &Bench, senders: u32) -> Result<Measured> {
    let setup = Setup {
        senders: senders as usize,
        variables: vec![("WHIMBREL_SENDER__LIVE_SLOTS", SLOTS.to_string())],
        ..Setup::default()
    };
    let behaviours = vec![Behaviour::After(RECEIVER_DELAY); FEW];
    let mut round = Round::start(bench, Engine::Distributed, &setup, behaviours, true).await?;
    let events = count(senders * PER_SECOND, bench.sizes.senders).div_ceil(FEW);
    let name = format!("sender processes: {senders}, {SLOTS} slots each, receivers of 100 ms");
    let case = Case::new(Scenario::Scale, name, Load::HttpBatches);
    let measured = round.measure(&case, &Events::new(events, Targets::All)).await?;
    round.system.discard(&bench.servers).await?;
    Ok(measured)
}

/// As many events for so many endpoints, each for one; the second time, when every endpoint has been met.
async fn endpoints(bench: &Bench, engine: Engine, endpoints: usize) -> Result<Measured> {
    let behaviours = vec![Behaviour::Answer; endpoints];
    let mut round = Round::start(bench, engine, &Setup::default(), behaviours, false).await?;
    let count = bench.sizes.endpoints;
    let events = Events::new(count, Targets::One((0..endpoints).cycle().take(count).collect()));
    let name = format!("{count} events, each for one of {endpoints} endpoints");
    let case = Case::new(Scenario::Scale, name, Load::Http(CONCURRENCY));
    round.measure(&case, &events).await?;
    let measured = round.measure(&case, &events).await?;
    round.system.discard(&bench.servers).await?;
    Ok(measured)
}
