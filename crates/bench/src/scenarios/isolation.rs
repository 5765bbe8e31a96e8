//! d: what the healthy notice of one that is slow, or dead.

use std::time::Duration;

use anyhow::Result;

use super::latency::count;
use crate::bench::Bench;
use crate::load::Events;
use crate::receiver::{Behaviour, Targets};
use crate::result::{Measured, Scenario};
use crate::round::{Case, Load, Round};
use crate::system::{Engine, Setup};

const ENDPOINTS: usize = 10;
/// The one that is not well.
const PATIENT: usize = 0;
const SLOW: Duration = Duration::from_secs(5);
/// Its share of the traffic when it is dead, in shares of one healthy endpoint.
const FLOOD: usize = 10;

pub(super) async fn run(bench: &Bench, engine: Engine) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for rate in &bench.sizes.isolation_rates {
        let without = case(bench, engine, *rate, "all well", Behaviour::Answer, 1).await?;
        let slow = case(bench, engine, *rate, "one answers after 5 s", Behaviour::After(SLOW), 1).await?;
        let slow = compare(slow, &without);
        measured.extend([without, slow]);
    }
    let rate = bench.sizes.isolation_rates[0];
    let dead =
        case(bench, engine, rate, "one never answers, with 10 times the traffic", Behaviour::Never, FLOOD).await?;
    // Against the first, in which the healthy ones have the same rate.
    let dead = compare(dead, &measured[0]);
    measured.push(dead);
    Ok(measured)
}

/// `rate` events a second over all endpoints in turn; the patient has `share` turns.
async fn case(
    bench: &Bench,
    engine: Engine,
    rate: u32,
    name: &str,
    patient: Behaviour,
    share: usize,
) -> Result<Measured> {
    let turns: Vec<usize> = (1..ENDPOINTS).chain(std::iter::repeat_n(PATIENT, share)).collect();
    // The healthy ones keep their rate, whatever the share.
    let turns_a_second = f64::from(rate) / 10.0;
    let per_second = turns_a_second * crate::meter::float_of(turns.len());
    let events = count(rate, bench.sizes.isolation).div_ceil(ENDPOINTS) * turns.len();
    let targets: Vec<usize> = spread(&turns).into_iter().cycle().take(events).collect();

    let load = Load::HttpPaced(per_second);
    let mut case = Case::new(Scenario::Isolation, format!("{rate} events/s over ten, {name}"), load);
    case.settles = patient == Behaviour::Answer;
    case.healthy = Some(targets.iter().map(|target| *target != PATIENT).collect());
    let mut behaviours = vec![Behaviour::Answer; ENDPOINTS];
    behaviours[PATIENT] = patient;
    let mut round = Round::start(bench, engine, &Setup::default(), behaviours, false).await?;
    let measured = round.measure(&case, &Events::new(events, Targets::One(targets))).await?;
    round.system.discard(&bench.servers).await?;
    Ok(measured)
}

/// The healthy turns evenly between the patient's.
fn spread(turns: &[usize]) -> Vec<usize> {
    let (healthy, patient): (Vec<usize>, Vec<usize>) = turns.iter().partition(|turn| **turn != PATIENT);
    let longest = healthy.len().max(patient.len());
    (0..longest).flat_map(|place| [healthy.get(place), patient.get(place)].into_iter().flatten().copied()).collect()
}

fn compare(mut with: Measured, without: &Measured) -> Measured {
    if let (Some(with_ms), Some(without_ms)) = (with.latency_ms, without.latency_ms) {
        with.further.insert("p99 of the healthy, times that without".into(), with_ms.p99 / without_ms.p99);
        with.further.insert("p99 of the healthy without, ms".into(), without_ms.p99);
    }
    with
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patients_turns_are_spread() {
        let turns: Vec<usize> = (1..4).chain([0, 0, 0, 0]).collect();
        assert_eq!(spread(&turns), [1, 0, 2, 0, 3, 0, 0]);
        assert_eq!(spread(&[1, 2, 0]), [1, 0, 2]);
    }
}
