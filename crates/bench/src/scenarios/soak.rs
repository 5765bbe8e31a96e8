//! f: ten minutes at half the maximum.

use std::time::Duration;

use anyhow::Result;

use super::fanout::CONCURRENCY;
use crate::bench::Bench;
use crate::load::Events;
use crate::meter::{ByPart, float_of};
use crate::receiver::{Behaviour, Targets};
use crate::result::{Measured, Part, Scenario};
use crate::round::{Case, Load, PATIENCE, Round};
use crate::system::{Engine, Setup};

/// The end of the soak may hold so much more than its beginning: by factor, and in MiB.
const GROWTH_MAX: f64 = 1.2;
const GROWTH_MIB: f64 = 24.0;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let Some(time) = bench.sizes.soak else { return Ok(Vec::new()) };
    let mut round = Round::start(bench, engine, &Setup::default(), vec![Behaviour::Answer], true).await?;
    let probe = Case::new(Scenario::Soak, "the maximum", Load::Http(CONCURRENCY));
    let fastest = round.measure(&probe, &Events::new(bench.sizes.events, Targets::All)).await?;

    let half = fastest.per_second / 2.0;
    let name = format!("{half:.0} events/s, half the maximum, for {} s", time.as_secs());
    let case = Case { packing: probe.packing, ..Case::new(Scenario::Soak, name, Load::HttpPaced(half)) };
    let mut soaked = round.measure(&case, &Events::new(events(half, time), Targets::All)).await?;
    let drained = round.system.drained(PATIENCE * 2).await;
    let growing = growing(&soaked.memory);
    soaked.complaint = drained.err().map(|error| format!("{error:#}")).or(growing);
    round.system.discard(&bench.servers).await?;
    Ok(vec![soaked])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate and a time, both positive")]
fn events(per_second: f64, time: Duration) -> usize {
    (per_second * time.as_secs_f64()).max(1.0) as usize
}

/// A sentence about the part whose memory grew from the second fifth of the soak to the last, if one's did.
fn growing(series: &[(f64, ByPart)]) -> Option<String> {
    let fifth = series.len() / 5;
    let (early, late) = (series.get(fifth..2 * fifth)?, series.get(4 * fifth..)?);
    let parts = series.last()?.1.keys();
    parts.filter(|part| part.is_measured()).find_map(|part| {
        let (before, after) = (mean(early, *part)?, mean(late, *part)?);
        let grew = after > before * GROWTH_MAX && after > before + GROWTH_MIB;
        grew.then(|| format!("the memory of {} grew from {before:.0} to {after:.0} MiB", part.as_str()))
    })
}

fn mean(series: &[(f64, ByPart)], part: Part) -> Option<f64> {
    let values: Vec<f64> = series.iter().filter_map(|(_, by_part)| by_part.get(&part).copied()).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / float_of(values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(mib: fn(f64) -> f64) -> Vec<(f64, ByPart)> {
        (0..100).map(f64::from).map(|second| (second, ByPart::from([(Part::Sender, mib(second))]))).collect()
    }

    #[test]
    fn flat_memory_is_fine_and_a_leak_is_named() {
        assert_eq!(growing(&series(|_| 50.0)), None);
        assert_eq!(growing(&series(|second| 50.0 + second / 10.0)), None);
        let complaint = growing(&series(|second| 50.0 + second)).expect("it grows");
        assert!(complaint.contains("sender"), "{complaint}");
        assert_eq!(growing(&[]), None);
    }
}
