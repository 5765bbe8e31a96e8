//! The figures of a run.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::floor::{Limits, Work};
use crate::meter::{ByPart, float, float_of};
use crate::receiver::Faults;
use crate::system::Engine;

/// A process, or several of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The role api.
    Api,
    /// The role ingest.
    Ingest,
    /// The role sender, all its processes.
    Sender,
    /// The role tracker.
    Tracker,
    /// Every role in one process.
    Serve,
    /// The database server and its backends.
    Postgres,
    /// The broker.
    Rabbitmq,
    /// The bench's receiver.
    Receiver,
    /// The bench's publishers, and the bench itself.
    Load,
}

impl Part {
    /// Its word; for roles, that of `--role`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Ingest => "ingest",
            Self::Sender => "sender",
            Self::Tracker => "tracker",
            Self::Serve => "serve",
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::Receiver => "receiver",
            Self::Load => "load",
        }
    }

    /// Whether it belongs to what is measured, and not to the bench.
    pub const fn is_measured(self) -> bool {
        !matches!(self, Self::Receiver | Self::Load)
    }
}

/// What is measured, by the letters of `--only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scenario {
    /// One receiver for each event, over HTTP and AMQP.
    #[value(name = "a")]
    FanOut,
    /// Ten receivers for each.
    #[value(name = "b")]
    Wide,
    /// 50 events a second.
    #[value(name = "c")]
    Latency,
    /// One endpoint that is slow, or dead.
    #[value(name = "d")]
    Isolation,
    /// One that fails, with everything waiting in tiers.
    #[value(name = "e")]
    Storm,
    /// Ten minutes at half the maximum.
    #[value(name = "f")]
    Soak,
    /// More sender processes, more endpoints.
    #[value(name = "g")]
    Scale,
    /// Live traffic while what was held is released.
    #[value(name = "h")]
    Release,
}

impl Scenario {
    /// Whether what a delivery costs is what it is about, and not how long one takes.
    pub const fn is_about_cost(self) -> bool {
        matches!(self, Self::FanOut | Self::Wide | Self::Soak)
    }

    /// Its letter.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::FanOut => "a",
            Self::Wide => "b",
            Self::Latency => "c",
            Self::Isolation => "d",
            Self::Storm => "e",
            Self::Soak => "f",
            Self::Scale => "g",
            Self::Release => "h",
        }
    }

    /// What it is about.
    pub const fn title(self) -> &'static str {
        match self {
            Self::FanOut => "fan-out 1",
            Self::Wide => "fan-out 10",
            Self::Latency => "latency at 50 events/s",
            Self::Isolation => "isolation",
            Self::Storm => "retry storm",
            Self::Soak => "soak",
            Self::Scale => "scale",
            Self::Release => "release",
        }
    }
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.letter())
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half are faster.
    pub p50: f64,
    /// 95 of 100 are.
    pub p95: f64,
    /// 99 of 100 are.
    pub p99: f64,
    /// None is slower.
    pub max: f64,
}

impl Percentiles {
    /// Of latencies in microseconds, in any order; `None` of none.
    pub fn of(mut latencies_us: Vec<u64>) -> Option<Self> {
        latencies_us.sort_unstable();
        let max = float(*latencies_us.last()?) / 1e3;
        let at = |fraction| float(quantile(&latencies_us, fraction)) / 1e3;
        Some(Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max })
    }

    fn median(all: &[Self]) -> Option<Self> {
        let of = |figure: fn(&Self) -> f64| median(all.iter().map(figure).collect());
        Some(Self {
            p50: of(|one| one.p50)?,
            p95: of(|one| one.p95)?,
            p99: of(|one| one.p99)?,
            max: of(|one| one.max)?,
        })
    }
}

/// The smallest value that `fraction` of them do not exceed; `sorted` is not empty.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is between 0 and the number of values"
)]
fn quantile(sorted: &[u64], fraction: f64) -> u64 {
    let rank = (float_of(sorted.len()) * fraction).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The figures of one case: a scenario, or one of its variants, on one engine.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Which scenario.
    pub scenario: Scenario,
    /// Which variant, in words.
    pub case: String,
    /// Which engine.
    pub engine: Engine,
    /// Deliveries received.
    pub deliveries: f64,
    /// From the first publish to the last receipt.
    pub seconds: f64,
    /// Deliveries a second over that time.
    pub per_second: f64,
    /// CPU microseconds a delivery, without what the processes use idle.
    pub cpu_us: ByPart,
    /// The same with it.
    pub cpu_gross_us: ByPart,
    /// Highest resident size in MiB.
    pub peak_mib: ByPart,
    /// Publish to receipt, in milliseconds.
    pub latency_ms: Option<Percentiles>,
    /// What a delivery needs.
    pub work: Work,
    /// CPU microseconds a delivery that the same work takes at least, computed from this machine's limits.
    pub floor_us: f64,
    /// How many times that the case took; of several runs the median, each against the limits of its own time.
    pub ratio: f64,
    /// Milliseconds from publish to receipt at least, where that is what the case is about.
    pub floor_ms: Option<f64>,
    /// Cores that processes other than ours kept busy meanwhile.
    pub other_cores: f64,
    /// Further figures of the case, by name with unit.
    pub further: BTreeMap<String, f64>,
    /// What did not come as expected.
    pub faults: Faults,
    /// Something else that should not be, in a sentence.
    pub complaint: Option<String>,
    /// Share of deliveries by latency in milliseconds.
    pub curve: Vec<(f64, f64)>,
    /// Deliveries a second, over seconds since the first publish.
    pub timeline: Vec<(f64, f64)>,
    /// Resident MiB by part over seconds, of the soak alone.
    pub memory: Vec<(f64, ByPart)>,
}

impl Measured {
    /// CPU microseconds a delivery of all that is measured.
    pub fn total_us(&self) -> f64 {
        self.cpu_us.iter().filter(|(part, _)| part.is_measured()).map(|(_, us)| us).sum()
    }

    /// Takes the floor from these limits.
    pub fn hold_against(&mut self, limits: &Limits) {
        self.floor_us = limits.floor_us(self.work);
        self.ratio = self.total_us() / self.floor_us;
    }

    /// Whether everything came exactly as expected.
    pub fn is_complete(&self) -> bool {
        self.faults.is_none() && self.complaint.is_none()
    }

    /// Of several runs of the same case: medians; faults of all; the curves of the one in the middle.
    pub fn median(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        let middle = runs.get(runs.len() / 2)?.clone();
        let of = |figure: fn(&Self) -> f64| median(runs.iter().map(figure).collect()).unwrap_or_default();
        let latencies: Vec<_> = runs.iter().filter_map(|run| run.latency_ms).collect();
        Some(Self {
            deliveries: of(|run| run.deliveries),
            seconds: of(|run| run.seconds),
            per_second: of(|run| run.per_second),
            floor_us: of(|run| run.floor_us),
            ratio: of(|run| run.ratio),
            other_cores: of(|run| run.other_cores),
            cpu_us: medians(&runs, |run| &run.cpu_us),
            cpu_gross_us: medians(&runs, |run| &run.cpu_gross_us),
            peak_mib: medians(&runs, |run| &run.peak_mib),
            further: medians(&runs, |run| &run.further),
            latency_ms: Percentiles::median(&latencies),
            faults: runs.iter().fold(Faults::default(), |sum, run| sum.and(run.faults)),
            complaint: runs.iter().find_map(|run| run.complaint.clone()),
            ..middle
        })
    }
}

fn medians<K: Ord + Clone>(runs: &[Measured], map: fn(&Measured) -> &BTreeMap<K, f64>) -> BTreeMap<K, f64> {
    let mut values: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for (key, value) in runs.iter().flat_map(map) {
        values.entry(key.clone()).or_default().push(*value);
    }
    values.into_iter().filter_map(|(key, values)| Some((key, median(values)?))).collect()
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*below, *above))
}

/// A distribution of latencies in microseconds as points (milliseconds, share not above), a hundred or so.
pub fn curve(mut latencies_us: Vec<u64>) -> Vec<(f64, f64)> {
    latencies_us.sort_unstable();
    if latencies_us.is_empty() {
        return Vec::new();
    }
    let fractions = (1..=90).map(|share| f64::from(share) / 100.0).chain((1..=100).map(|n| 0.9 + f64::from(n) / 1e3));
    fractions.map(|fraction| (float(quantile(&latencies_us, fraction)) / 1e3, fraction)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let found = Percentiles::of((1..=1000).rev().map(|n| n * 1000).collect()).expect("there are some");
        assert_eq!(found, Percentiles { p50: 500.0, p95: 950.0, p99: 990.0, max: 1000.0 });
        assert_eq!(Percentiles::of(vec![]), None);
        let one = Percentiles::of(vec![2000]).expect("there is one");
        assert_eq!((one.p50, one.max), (2.0, 2.0));
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_curve_rises_to_the_slowest() {
        let curve = curve((1..=500).collect());
        assert_eq!(curve.last(), Some(&(0.5, 1.0)));
        assert!(curve.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1));
    }
}
