//! A whole run.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::floor::Limits;
use crate::machine::Machine;
use crate::meter::{ByPart, Meter};
use crate::options::{Options, Sizes};
use crate::progress::Progress;
use crate::receiver::Receiver;
use crate::report::Report;
use crate::result::{Measured, Scenario};
use crate::scenarios;
use crate::servers::Servers;
use crate::system::{self, Engine, Setup, System};

/// What every scenario works with.
pub struct Bench {
    /// The program to measure; `None` is the one beside this one.
    pub program: Option<std::path::PathBuf>,
    /// How much to do.
    pub sizes: Sizes,
    /// Where the distributed engine lives.
    pub servers: Servers,
    /// Where deliveries go.
    pub receiver: Receiver,
    /// What this machine could do when that was measured last.
    pub limits: Limits,
    /// Those, and what was measured before.
    all_limits: Vec<Limits>,
    /// CPU microseconds a second that an idle system takes, by part.
    pub idle: BTreeMap<Engine, ByPart>,
}

impl Bench {
    /// Starts the servers where an engine needs them, and measures the limits.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn prepare(options: &Options, servers: Servers) -> Result<Self> {
        let (sizes, receiver) = (options.sizes(), Receiver::start()?);
        let program = match &options.program {
            Some(program) => Some(program.canonicalize().with_context(|| format!("{} is missing", program.display()))?),
            None => None,
        };
        if let Some(template) = servers.create_template().await? {
            system::migrate(program.as_ref(), &template).await?;
        }
        let limits = Limits::measure(&servers, &receiver, sizes.floor).await?;
        Ok(Self { program, sizes, servers, receiver, limits, all_limits: vec![limits], idle: BTreeMap::new() })
    }

    /// Measures the limits once more: a machine that others share is not always as fast, and a cost means something only
    /// against limits of the same time.
    async fn measure_limits(&mut self) -> Result<()> {
        self.limits = Limits::measure(&self.servers, &self.receiver, self.sizes.floor).await?;
        self.all_limits.push(self.limits);
        Ok(())
    }

    /// Starts a system.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&self, engine: Engine, setup: &Setup) -> Result<System> {
        System::start(self.program.as_ref(), &self.servers, engine, setup).await
    }

    /// Watches an idle system; gives Whimbrel's version.
    async fn watch_idle(&mut self, engine: Engine) -> Result<String> {
        let system = self.start(engine, &Setup::default()).await?;
        let version = system.version().await?;
        let meter = Meter::start(&system, &self.servers, &self.receiver);
        tokio::time::sleep(self.sizes.idle).await;
        let used = meter.stop();
        system.discard(&self.servers).await?;
        let per_second = used.cpu_us.iter().map(|(part, us)| (*part, us / used.seconds)).collect();
        self.idle.insert(engine, per_second);
        Ok(version)
    }
}

/// Runs everything that `options` ask for.
///
/// # Errors
/// When a server or a process fails. What is not delivered as it should be is no error but a fault in the report.
pub async fn run(options: &Options) -> Result<Report> {
    let (engines, scenarios) = (options.engines(), wanted(options));
    let steps = engines.len() * (1 + scenarios.len() * options.runs as usize) + 1;
    let mut progress = Progress::new(steps);
    progress.step("servers and the limits of this machine");
    let servers = if engines.contains(&Engine::Distributed) { Servers::private().await? } else { Servers::None };
    let mut bench = Bench::prepare(options, servers).await?;
    let mut machine = Machine::of_this(&bench.servers).await?;
    let mut measured = Vec::new();
    for engine in engines {
        progress.step(&format!("{}: idle", engine.as_str()));
        machine.whimbrel = bench.watch_idle(engine).await?;
        for scenario in &scenarios {
            measured.extend(repeated(&mut bench, *scenario, engine, options.runs, &mut progress).await?);
        }
    }
    progress.done();
    let limits = Limits::median(&bench.all_limits).context("limits are measured at the start")?;
    Ok(Report { machine, limits, idle: bench.idle, runs: options.runs, measured })
}

/// The scenarios in order of their letters.
fn wanted(options: &Options) -> Vec<Scenario> {
    use clap::ValueEnum;
    let soaks = options.full;
    let all = Scenario::value_variants().iter().copied();
    all.filter(|scenario| options.wants(*scenario) && (soaks || *scenario != Scenario::Soak)).collect()
}

/// Every case of one scenario once. What is about cost is held against the limits before and after it: the machine's speed
/// may have changed meanwhile.
async fn one_run(bench: &mut Bench, scenario: Scenario, engine: Engine) -> Result<Vec<Measured>> {
    if !scenario.is_about_cost() {
        return scenarios::run(bench, scenario, engine).await;
    }
    bench.measure_limits().await?;
    let before = bench.limits;
    let mut cases = scenarios::run(bench, scenario, engine).await?;
    bench.measure_limits().await?;
    let around = Limits::median(&[before, bench.limits]).unwrap_or(before);
    for case in &mut cases {
        case.hold_against(&around);
    }
    Ok(cases)
}

/// Every case of one scenario, over all runs.
async fn repeated(
    bench: &mut Bench,
    scenario: Scenario,
    engine: Engine,
    runs: u32,
    progress: &mut Progress,
) -> Result<Vec<Measured>> {
    let mut cases: Vec<Vec<Measured>> = Vec::new();
    for run in 1..=runs {
        let what = format!("{} {}: {}", engine.as_str(), scenario.letter(), scenario.title());
        progress.step(&if runs > 1 { format!("{what}, run {run} of {runs}") } else { what });
        let of_run = one_run(bench, scenario, engine).await;
        let of_run = of_run.with_context(|| format!("scenario {} on {}", scenario.letter(), engine.as_str()))?;
        cases.resize_with(of_run.len(), Vec::new);
        for (case, measured) in cases.iter_mut().zip(of_run) {
            case.push(measured);
        }
    }
    Ok(cases.into_iter().filter_map(Measured::median).collect())
}
