//! The tables on the screen.

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::Report;
use super::number::short;
use super::sheet::{Sheet, chapters};

/// The limits, then three tables an engine.
pub(super) fn render(report: &Report) -> String {
    let mut text = limits(report);
    for chapter in chapters(report) {
        text.extend(["\n", chapter.engine.as_str(), " engine\n"]);
        for sheet in &chapter.sheets {
            text.extend([&draw(sheet), "\n"]);
        }
        text.extend(chapter.further.iter().map(|line| format!("{line}\n")));
    }
    text
}

fn draw(sheet: &Sheet) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(&sheet.header).add_rows(&sheet.rows);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // Without the lines between rows.
    table.remove_style(comfy_table::TableComponent::HorizontalLines);
    table.remove_style(comfy_table::TableComponent::MiddleIntersections);
    table.to_string()
}

fn limits(report: &Report) -> String {
    let lines = limit_lines(report).into_iter().map(|(name, figures)| format!("{name}: {figures}\n"));
    format!("limits of this machine\n{}", lines.collect::<String>())
}

/// The limits in words.
pub(super) fn limit_lines(report: &Report) -> Vec<(&'static str, String)> {
    let limits = &report.limits;
    let post = format!(
        "{} µs, the receiver {} µs; {} ms there and back",
        short(limits.post.client_us),
        short(limits.post.server_us),
        short(limits.post.round_trip_ms)
    );
    let mut lines = vec![("signed 1 KB POST, bare hyper connection", post)];
    if let Some(queue) = limits.queue {
        let text = format!(
            "{} µs ({} of it the broker), of 16 KB {} µs; {} ms to the consumer",
            short(queue.small_us),
            short(queue.small_broker_us),
            short(queue.large_us),
            short(queue.hop_ms)
        );
        lines.push(("1 KB message through a quorum queue", text));
    }
    let rows = [
        ("1 KB row, PostgreSQL, UNNEST of 100", limits.postgres),
        ("1 KB row, SQLite, 100 at once", Some(limits.sqlite)),
    ];
    for (name, rows) in rows.into_iter().filter_map(|(name, rows)| Some((name, rows?))) {
        let text = format!(
            "{} µs, of 200 bytes {} µs; with an id and a list {} and {} µs, a new state {} µs; alone {} µs and {} ms",
            short(rows.bare.large_us),
            short(rows.bare.small_us),
            short(rows.listed.large_us),
            short(rows.listed.small_us),
            short(rows.change_us),
            short(rows.single_us),
            short(rows.commit_ms)
        );
        lines.push((name, text));
    }
    lines
}
