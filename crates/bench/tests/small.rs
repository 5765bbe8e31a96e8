//! Every scenario at a small size, as a test: each event must arrive exactly as often as expected, signed.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use whimbrel_bench::bench::Bench;
use whimbrel_bench::options::Options;
use whimbrel_bench::result::{Measured, Part, Scenario};
use whimbrel_bench::servers::Servers;
use whimbrel_bench::system::Engine;
use whimbrel_bench::{bench, report, scenarios};

fn small(arguments: &[&str]) -> Options {
    let base = ["whimbrel-bench", "--quick", "--scale", "0.05"];
    Options::parse_from(base.iter().chain(arguments))
}

/// On the servers that tests share.
async fn run(scenario: Scenario, engine: Engine, arguments: &[&str]) -> Result<Vec<Measured>> {
    whimbrel_testkit::http::install_tls();
    let servers = if engine == Engine::Distributed { Servers::Shared } else { Servers::None };
    let bench = Bench::prepare(&small(arguments), servers).await?;
    let measured = scenarios::run(&bench, scenario, engine).await?;
    for case in &measured {
        ensure!(case.is_complete(), "{}: {:?} {:?}", case.case, case.faults, case.complaint);
        ensure!(case.deliveries > 0.0 && case.per_second > 0.0 && case.total_us() > 0.0, "{case:?}");
        ensure!(case.latency_ms.is_some_and(|latency| latency.p50 <= latency.max), "{case:?}");
        let is_beside_bare_program = matches!(scenario, Scenario::FanOut | Scenario::Wide);
        let times = case.further.get("CPU, times that of the bare program");
        ensure!(times.is_some_and(|times| times.is_finite() && *times > 0.0) == is_beside_bare_program, "{case:?}");
    }
    Ok(measured)
}

/// A scenario on each engine that has it.
macro_rules! complete {
    ($($name:ident: $scenario:ident, [$distributed:literal, $embedded:literal] cases;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn distributed() -> Result<()> {
                let measured = run(Scenario::$scenario, Engine::Distributed, &[]).await?;
                ensure!(measured.len() == $distributed, "{measured:?}");
                Ok(())
            }

            #[tokio::test]
            async fn embedded() -> Result<()> {
                let measured = run(Scenario::$scenario, Engine::Embedded, &[]).await?;
                ensure!(measured.len() == $embedded, "{measured:?}");
                Ok(())
            }
        }
    )*};
}

complete! {
    each_event_reaches_its_one_endpoint: FanOut, [2, 1] cases;
    each_event_reaches_all_ten_endpoints: Wide, [1, 1] cases;
    a_trickle_is_delivered_at_once: Latency, [1, 1] cases;
    the_healthy_get_everything_beside_one_that_is_not: Isolation, [3, 3] cases;
    a_retry_storm_loses_nothing_and_delays_no_fresh_event_for_ever: Storm, [3, 3] cases;
    a_release_loses_nothing_beside_live_traffic: Release, [2, 2] cases;
    more_senders_and_more_endpoints_change_no_result: Scale, [5, 2] cases;
}

/// At half the maximum memory is flat, queues are empty at the end and nothing is lost.
#[tokio::test]
async fn a_soak_leaves_nothing_behind() -> Result<()> {
    whimbrel_testkit::http::install_tls();
    let options = Options::parse_from(["whimbrel-bench", "--full", "--scale", "0.005"]);
    for (engine, servers) in [(Engine::Embedded, Servers::None), (Engine::Distributed, Servers::Shared)] {
        let bench = Bench::prepare(&options, servers).await?;
        let measured = scenarios::run(&bench, Scenario::Soak, engine).await?;
        let soak = measured.first().context("one case")?;
        ensure!(soak.is_complete(), "{:?} {:?}", soak.faults, soak.complaint);
        ensure!(soak.memory.len() >= 2, "memory is looked at every second");
    }
    Ok(())
}

/// A whole run on private servers: CPU and memory of every part, the floor, and all that is written.
#[tokio::test]
async fn a_run_writes_its_report() -> Result<()> {
    whimbrel_testkit::http::install_tls();
    let out = tempfile::tempdir()?;
    let (folder, markdown) = (out.path().join("bench"), out.path().join("BENCHMARKS.md"));
    let paths = [folder.to_str().context("a path")?, markdown.to_str().context("a path")?];
    let options = small(&["--only", "a,c", "--runs", "2", "--out", paths[0], "--markdown", paths[1]]);
    let found = bench::run(&options).await?;
    report::write(&found, &options)?;
    ensure!(found.is_complete(), "{:?}", found.complaints());
    ensure!(found.measured.len() == 5, "{:?}", found.measured);
    let distributed = &found.measured[0];
    for part in [Part::Api, Part::Ingest, Part::Sender, Part::Tracker, Part::Postgres, Part::Rabbitmq] {
        ensure!(distributed.cpu_gross_us.get(&part).is_some_and(|us| *us > 0.0), "{part:?} in {distributed:?}");
        ensure!(distributed.peak_mib.get(&part).is_some_and(|mib| *mib > 1.0), "{part:?} in {distributed:?}");
    }
    ensure!(found.measured.iter().all(|case| case.floor_us > 0.0), "{:?}", found.limits);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("report.json"))?)?;
    ensure!(json["measured"][0]["scenario"] == "a" && json["limits"]["queue"]["small_us"].as_f64() > Some(0.0));
    let text = std::fs::read_to_string(&markdown)?;
    ensure!(text.contains("RabbitMQ 3") || text.contains("RabbitMQ 4"), "{text}");
    for plot in ["throughput", "throughput-over-time", "cpu", "latency"] {
        let svg = std::fs::read_to_string(folder.join(format!("{plot}.svg")))?;
        ensure!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("NaN"), "{plot}: {svg}");
    }
    Ok(())
}
