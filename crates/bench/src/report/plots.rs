//! Which plots there are.

use super::Report;
use super::sheet::parts_of;
use super::svg::{Axis, Bar, Line, bars, lines};
use crate::result::{Measured, Part, Scenario};

/// File names and their content; a plot without data is left out.
pub(super) fn all(report: &Report) -> Vec<(String, String)> {
    let of = |wanted: &[Scenario]| -> Vec<&Measured> {
        report.measured.iter().filter(|measured| wanted.contains(&measured.scenario)).collect()
    };
    let fast = of(&[Scenario::FanOut, Scenario::Wide, Scenario::Soak, Scenario::Scale]);
    let slow = of(&[Scenario::Latency]);
    let mut plots = vec![
        ("throughput", throughput(&fast)),
        ("throughput-over-time", over_time(&of(&[Scenario::FanOut, Scenario::Wide]))),
        ("cpu", cpu(&fast)),
        ("latency", latency("From publish to receipt at 50 events/s", &slow)),
        ("isolation", latency("What the healthy notice of one that is not", &of(&[Scenario::Isolation]))),
        ("storm", latency("Fresh events during a retry storm", &fresh(&of(&[Scenario::Storm])))),
    ];
    plots.extend(of(&[Scenario::Soak]).into_iter().map(|soak| ("memory", memory(soak))));
    plots.into_iter().filter_map(|(name, plot)| Some((format!("{name}.svg"), plot?))).collect()
}

fn label(measured: &Measured) -> String {
    format!("{} {}: {}", measured.engine.as_str(), measured.scenario.letter(), measured.case)
}

fn throughput(cases: &[&Measured]) -> Option<String> {
    let bar = |case: &&Measured| Bar { label: label(case), pieces: vec![(0, case.per_second)], mark: None };
    let drawn: Vec<Bar> = cases.iter().map(bar).collect();
    (!drawn.is_empty()).then(|| bars("Throughput", "deliveries a second", &[""], &drawn))
}

fn cpu(cases: &[&Measured]) -> Option<String> {
    let parts: Vec<Part> = parts_of(cases).into_iter().filter(|part| part.is_measured()).collect();
    let pieces = |case: &Measured| {
        let of_part = |(place, part): (usize, &Part)| Some((place, *case.cpu_us.get(part)?));
        parts.iter().enumerate().filter_map(of_part).collect()
    };
    let bar = |case: &&Measured| Bar { label: label(case), pieces: pieces(case), mark: Some(case.floor_us) };
    let drawn: Vec<Bar> = cases.iter().map(bar).collect();
    let names: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    (!drawn.is_empty()).then(|| bars("CPU by process", "µs a delivery; the red mark is the floor", &names, &drawn))
}

fn latency(title: &str, cases: &[&Measured]) -> Option<String> {
    let line = |case: &&Measured| Line {
        label: label(case),
        points: case.curve.iter().map(|(ms, share)| (*ms, share * 100.0)).collect(),
    };
    let drawn: Vec<Line> = cases.iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let horizontal = ("milliseconds", Axis::Logarithmic);
    (!drawn.is_empty()).then(|| lines(title, horizontal, "per cent of deliveries that were as fast", &drawn))
}

fn over_time(cases: &[&Measured]) -> Option<String> {
    let line = |case: &&Measured| Line { label: label(case), points: case.timeline.clone() };
    let drawn: Vec<Line> = cases.iter().map(line).collect();
    let horizontal = ("seconds since the first publish", Axis::Linear);
    (!drawn.is_empty()).then(|| lines("Throughput over time", horizontal, "deliveries a second", &drawn))
}

/// Those of a storm that are about healthy deliveries.
fn fresh<'a>(cases: &[&'a Measured]) -> Vec<&'a Measured> {
    cases.iter().copied().filter(|case| case.floor_ms.is_some()).collect()
}

fn memory(soak: &Measured) -> Option<String> {
    let parts = soak.memory.last()?.1.keys().copied();
    let line = |part: Part| Line {
        label: part.as_str().to_owned(),
        points: soak.memory.iter().filter_map(|(second, by_part)| Some((*second, *by_part.get(&part)?))).collect(),
    };
    let drawn: Vec<Line> = parts.map(line).collect();
    let title = format!("Memory during the soak, {} engine", soak.engine.as_str());
    Some(lines(&title, ("seconds", Axis::Linear), "MiB resident", &drawn))
}
