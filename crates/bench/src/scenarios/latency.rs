//! c: from publish to receipt when there is little to do.

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::load::Events;
use crate::receiver::{Behaviour, Targets};
use crate::result::{Measured, Scenario};
use crate::round::{Case, Load, Round};
use crate::system::{Engine, Setup};

const PER_SECOND: u32 = 50;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let name = format!("{PER_SECOND} events/s for {} s", bench.sizes.latency.as_secs_f64());
    let case = Case::new(Scenario::Latency, name, Load::HttpPaced(f64::from(PER_SECOND)));
    let mut round = Round::start(bench, engine, &Setup::default(), vec![Behaviour::Answer], true).await?;
    let events = Events::new(count(PER_SECOND, bench.sizes.latency), Targets::All);
    let measured = round.measure(&case, &events).await?;
    round.system.discard(&bench.servers).await?;
    Ok(vec![measured])
}

/// Events in that time at that rate, and at least one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates and times are small and positive")]
pub(super) fn count(per_second: u32, time: Duration) -> usize {
    (f64::from(per_second) * time.as_secs_f64()).max(1.0) as usize
}
