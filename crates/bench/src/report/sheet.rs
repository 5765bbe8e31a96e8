//! The tables of a report, before they are drawn.

use super::Report;
use super::number::short;
use crate::result::{Measured, Part};
use crate::system::Engine;

/// A table: rows of as many cells as the header has. The first two columns are words.
pub(super) struct Sheet {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// What there is to say about one engine.
pub(super) struct Chapter {
    pub(super) engine: Engine,
    /// Speed, cost, memory.
    pub(super) sheets: [Sheet; 3],
    /// Further figures, a line each.
    pub(super) further: Vec<String>,
}

/// One for each engine that was measured.
pub(super) fn chapters(report: &Report) -> Vec<Chapter> {
    let of = |engine: Engine| -> Vec<&Measured> {
        report.measured.iter().filter(|measured| measured.engine == engine).collect()
    };
    let chapter = |engine: Engine| {
        let cases = of(engine);
        (!cases.is_empty()).then(|| Chapter {
            engine,
            sheets: [speed(&cases), cost(&cases), memory(&cases)],
            further: idle(report, engine).into_iter().chain(further(&cases)).collect(),
        })
    };
    [Engine::Distributed, Engine::Embedded].into_iter().filter_map(chapter).collect()
}

/// The parts that any of the cases has, those of the bench last.
pub(super) fn parts_of(cases: &[&Measured]) -> Vec<Part> {
    let mut parts: Vec<Part> = cases.iter().flat_map(|case| case.cpu_us.keys().copied()).collect();
    parts.sort();
    parts.dedup();
    parts
}

fn speed(cases: &[&Measured]) -> Sheet {
    sheet(cases, &["deliveries/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "at least", "complete"], |case| {
        let latency = case.latency_ms.map(|latency| [latency.p50, latency.p95, latency.p99, latency.max].map(short));
        let floor = case.floor_ms.map(short).unwrap_or_default();
        let complete = if case.is_complete() { "yes" } else { "NO" };
        [vec![short(case.per_second)], latency.unwrap_or_default().to_vec(), vec![floor, complete.into()]].concat()
    })
}

fn cost(cases: &[&Measured]) -> Sheet {
    let parts = parts_of(cases);
    let names = parts.iter().map(|part| part.as_str());
    let columns: Vec<&str> = ["CPU µs", "floor", "ratio"].into_iter().chain(names).chain(["others, cores"]).collect();
    sheet(cases, &columns, |case| {
        let of_parts = parts.iter().map(|part| case.cpu_us.get(part).map_or(String::new(), |us| short(*us)));
        let fixed = [short(case.total_us()), short(case.floor_us), short(case.ratio)];
        fixed.into_iter().chain(of_parts).chain([short(case.other_cores)]).collect()
    })
}

fn memory(cases: &[&Measured]) -> Sheet {
    let parts: Vec<Part> = parts_of(cases).into_iter().filter(|part| part.is_measured()).collect();
    let columns: Vec<String> = parts.iter().map(|part| format!("{} MiB", part.as_str())).collect();
    sheet(cases, &columns.iter().map(String::as_str).collect::<Vec<_>>(), |case| {
        parts.iter().map(|part| case.peak_mib.get(part).map_or(String::new(), |mib| short(*mib))).collect()
    })
}

fn sheet(cases: &[&Measured], columns: &[&str], cells: impl Fn(&Measured) -> Vec<String>) -> Sheet {
    let header = ["", "case"].iter().chain(columns).map(|name| (*name).to_owned()).collect();
    let named = |case: &Measured| [case.scenario.letter().to_owned(), case.case.clone()];
    let rows = cases.iter().map(|case| named(case).into_iter().chain(cells(case)).collect()).collect();
    Sheet { header, rows }
}

/// What an idle system takes.
fn idle(report: &Report, engine: Engine) -> Option<String> {
    let parts = report.idle.get(&engine)?;
    // Microseconds a second.
    let percent = |us: f64| short(us / 1e4);
    let servers = [Part::Postgres, Part::Rabbitmq];
    let own = parts.iter().filter(|(part, _)| part.is_measured() && !servers.contains(part)).map(|(_, us)| us);
    let servers = servers.iter().filter_map(|part| Some(format!(", {} {}", part.as_str(), percent(*parts.get(part)?))));
    let servers: String = servers.collect();
    Some(format!("idle, % of a core: Whimbrel's processes together {}{servers}", percent(own.sum())))
}

fn further(cases: &[&Measured]) -> Vec<String> {
    let of_case = |case: &Measured| -> Vec<String> {
        let line = |(name, value): (&String, &f64)| {
            format!("{}, {}: {name}: {}", case.scenario.letter(), case.case, short(*value))
        };
        case.further.iter().map(line).collect()
    };
    cases.iter().flat_map(|case| of_case(case)).collect()
}
