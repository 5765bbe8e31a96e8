//! a and b: as fast as it goes, to one endpoint or to ten.

use anyhow::Result;

use crate::bench::Bench;
use crate::floor::at_once;
use crate::load::Events;
use crate::receiver::{Behaviour, Targets};
use crate::result::{Measured, Scenario};
use crate::round::{Case, Load, Round};
use crate::system::{Engine, Setup};

/// Requests under way at the intake.
pub(super) const CONCURRENCY: usize = 32;

/// Over HTTP, and over AMQP where the engine has it.
pub(super) async fn one(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let http = ("over HTTP", Load::Http(CONCURRENCY));
    match engine {
        Engine::Distributed => flood(bench, engine, 1, &[http, ("over AMQP", Load::Amqp)]).await,
        Engine::Embedded => flood(bench, engine, 1, &[http]).await,
    }
}

/// Ten endpoints for each event.
pub(super) async fn ten(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    flood(bench, engine, 10, &[("over HTTP", Load::Http(CONCURRENCY))]).await
}

/// One case for each way in, on one system.
async fn flood(bench: &Bench, engine: Engine, fan_out: usize, loads: &[(&str, Load)]) -> Result<Vec<Measured>> {
    let (scenario, events) = match fan_out {
        1 => (Scenario::FanOut, bench.sizes.events),
        _ => (Scenario::Wide, bench.sizes.wide_events),
    };
    // Before the system is started: the case will not have to share the machine with it either.
    let bare_us = at_once::measure(&bench.servers, &bench.receiver, engine, fan_out, bench.sizes.floor).await?;
    let behaviours = vec![Behaviour::Answer; fan_out];
    let mut round = Round::start(bench, engine, &Setup::default(), behaviours, true).await?;
    let mut measured = Vec::new();
    for (how, load) in loads {
        let case = Case::new(scenario, format!("fan-out {fan_out}, {events} events {how}"), *load);
        let mut figures = round.measure(&case, &Events::new(events, Targets::All)).await?;
        let bare_us = bare_us + bench.limits.intake_us(round.work(&case, fan_out, 1.0));
        figures.further.insert("CPU µs of a bare program that does the same parts at once".into(), bare_us);
        figures.further.insert("CPU, times that of the bare program".into(), figures.total_us() / bare_us);
        measured.push(figures);
    }
    round.system.discard(&bench.servers).await?;
    Ok(measured)
}
