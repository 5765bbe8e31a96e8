//! BENCHMARKS.md.

use super::Report;
use super::sheet::{Sheet, chapters};
use super::table::limit_lines;

const METHOD: &str = "\
`make bench` (`RUNS=3` for this file) starts a PostgreSQL and a RabbitMQ of its own with fsync, runs Whimbrel's roles as
separate processes, publishes events of 1 KB, and receives them in a receiver that verifies every signature and counts
every event at every endpoint. Everything shares one machine: publishers and receiver take part of it, and their CPU is
listed apart. CPU is user and system time of each process with its children, less what the same system takes idle, per
delivery. Latency is from the moment an event's request is begun until its delivery has been read by the receiver; at a
fixed rate nobody waits for an earlier answer. The floor is computed from limits such as those below, measured right
before and right after each run of a and b; the ratio is the median of the runs' own. A bare program does the floor's parts
at once, as a case does, where the limits have the machine to themselves: see [crates/bench](crates/bench/README.md).
";

/// The whole file.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::from("# Benchmarks\n\n");
    text.push_str(METHOD);
    text.extend(["\n", &machine(report), "\n"]);
    text.push_str("\n## Limits of this machine\n\n| what | CPU and time |\n|---|---|\n");
    for (name, figures) in limit_lines(report) {
        text.extend(["| ", name, " | ", &figures, " |\n"]);
    }
    for chapter in chapters(report) {
        text.extend(["\n## The ", chapter.engine.as_str(), " engine\n"]);
        text.extend(chapter.sheets.iter().map(table));
        text.push('\n');
        text.extend(chapter.further.iter().map(|line| format!("- {line}\n")));
    }
    text
}

fn machine(report: &Report) -> String {
    let machine = &report.machine;
    let servers = [("PostgreSQL", &machine.postgres), ("RabbitMQ", &machine.rabbitmq)];
    let servers = servers.iter().filter_map(|(name, version)| Some(format!(", {name} {}", version.as_ref()?)));
    format!(
        "Measured {} UTC on {} ({} cores, {} GiB, Linux {}), Whimbrel {}{}. Medians of {} runs.",
        machine.measured_at,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.whimbrel,
        servers.collect::<String>(),
        report.runs
    )
}

/// As Markdown has them.
fn table(sheet: &Sheet) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<String> =
        (0..sheet.header.len()).map(|place| if place < 2 { "---" } else { "---:" }.into()).collect();
    let rows: String = sheet.rows.iter().map(|row| line(row)).collect();
    format!("\n{}{}{rows}", line(&sheet.header), line(&rule))
}
