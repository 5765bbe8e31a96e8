//! The command line, and how much of everything a run does.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::result::Scenario;
use crate::system::Engine;

/// Measures both engines of Whimbrel on servers of its own.
#[derive(Debug, Clone, Parser)]
#[command(name = "whimbrel-bench", version)]
pub struct Options {
    /// A tenth of everything, in about a minute.
    #[arg(long, conflicts_with = "full")]
    pub quick: bool,

    /// Everything, and ten minutes of soak on each engine.
    #[arg(long)]
    pub full: bool,

    /// Only these scenarios, by their letters: a,c.
    #[arg(long, value_delimiter = ',', value_name = "LETTERS")]
    pub only: Vec<Scenario>,

    /// Which engine.
    #[arg(long, value_enum, default_value_t = Choice::Both)]
    pub engine: Choice,

    /// Runs of each scenario; the figures are medians over them.
    #[arg(long, env = "RUNS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub runs: u32,

    /// Multiplies counts and durations: for trying the bench itself.
    #[arg(long, default_value_t = 1.0)]
    pub scale: f64,

    /// Where report.json and the plots go.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub out: PathBuf,

    /// Writes the table with machine, versions and method to this file, too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,

    /// The whimbrel to measure, instead of the one beside this program.
    #[arg(long, env = "WHIMBREL_BIN", value_name = "PROGRAM")]
    pub program: Option<PathBuf>,
}

/// Which engines are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// SQLite, one process.
    Embedded,
    /// PostgreSQL and RabbitMQ, one process a role.
    Distributed,
    /// One after the other.
    Both,
}

/// How much a run does.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// Events with one receiver.
    pub events: usize,
    /// Events with ten receivers.
    pub wide_events: usize,
    /// How long 50 events a second are published.
    pub latency: Duration,
    /// Events a second over all endpoints, in turn.
    pub isolation_rates: Vec<u32>,
    /// How long, each time.
    pub isolation: Duration,
    /// Deliveries that fail and wait in tiers.
    pub storm: usize,
    /// Deliveries held while their endpoint is suspended.
    pub held: usize,
    /// How long half the maximum is kept up; `None` leaves the soak out.
    pub soak: Option<Duration>,
    /// How long each number of sender processes is kept busy.
    pub senders: Duration,
    /// Endpoints of the large tenant.
    pub endpoints: usize,
    /// How long the idle baseline is watched.
    pub idle: Duration,
    /// Repetitions of each part of the floor.
    pub floor: usize,
}

impl Options {
    /// The engines to measure.
    pub fn engines(&self) -> Vec<Engine> {
        match self.engine {
            Choice::Embedded => vec![Engine::Embedded],
            Choice::Distributed => vec![Engine::Distributed],
            Choice::Both => vec![Engine::Distributed, Engine::Embedded],
        }
    }

    /// Whether a scenario was asked for.
    pub fn wants(&self, scenario: Scenario) -> bool {
        self.only.is_empty() || self.only.contains(&scenario)
    }

    /// How much the run does.
    pub fn sizes(&self) -> Sizes {
        let sizes = if self.quick { Sizes::quick() } else { Sizes::normal() };
        let soak = self.full.then_some(Duration::from_mins(10));
        Sizes { soak, ..sizes }.scaled(self.scale)
    }
}

impl Sizes {
    fn normal() -> Self {
        Self {
            events: 20_000,
            wide_events: 2_000,
            latency: Duration::from_secs(30),
            isolation_rates: vec![50, 150],
            isolation: Duration::from_secs(6),
            storm: 50_000,
            held: 10_000,
            soak: None,
            senders: Duration::from_secs(5),
            endpoints: 10_000,
            idle: Duration::from_secs(5),
            floor: 10_000,
        }
    }

    fn quick() -> Self {
        Self {
            events: 3_000,
            wide_events: 300,
            latency: Duration::from_secs(3),
            isolation_rates: vec![50],
            isolation: Duration::from_millis(1_500),
            storm: 4_000,
            held: 1_000,
            soak: None,
            senders: Duration::from_millis(1_500),
            endpoints: 500,
            idle: Duration::from_secs(1),
            floor: 1_000,
        }
    }

    fn scaled(self, by: f64) -> Self {
        let count = |value: usize, least: usize| scale_count(value, by).max(least);
        let time = |value: Duration| value.mul_f64(by).max(Duration::from_millis(500));
        Self {
            events: count(self.events, 50),
            wide_events: count(self.wide_events, 10),
            latency: time(self.latency),
            isolation_rates: self.isolation_rates,
            isolation: time(self.isolation),
            storm: count(self.storm, 50),
            held: count(self.held, 50),
            soak: self.soak.map(time),
            senders: time(self.senders),
            endpoints: count(self.endpoints, 20),
            idle: time(self.idle),
            floor: count(self.floor, 100),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of a bench are far below 2^52 and the factor is positive"
)]
fn scale_count(value: usize, by: f64) -> usize {
    (value as f64 * by.max(0.0)).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn a_scaled_run_does_less_but_never_nothing() {
        let sizes = Options::parse_from(["whimbrel-bench", "--full", "--scale", "0.0001"]).sizes();
        assert_eq!((sizes.events, sizes.wide_events, sizes.storm), (50, 10, 50));
        assert_eq!(sizes.soak, Some(Duration::from_millis(500)));
    }

    #[test]
    fn scenarios_are_chosen_by_letter() {
        let options = Options::parse_from(["whimbrel-bench", "--only", "a,c", "--engine", "embedded"]);
        assert!(options.wants(Scenario::FanOut) && options.wants(Scenario::Latency));
        assert!(!options.wants(Scenario::Storm));
        assert_eq!(options.engines(), [Engine::Embedded]);
    }
}
