//! docs/metrics.md.

use std::fmt::Write as _;

use crate::metric::{Kind, Label, Metric, Role, Values};
use crate::table::TABLE;

const HEAD: &str = "\
<!-- Generated from the table in crates/telemetry by its tests; WHIMBREL_GENERATE=1 writes it anew. -->

# Metrics

Every process serves `/metrics` on `ops_listen` in Prometheus' text format. A process of several roles exports what each
of them does. No label holds an id, a URL or anything else that a client chooses.

[`deploy/prometheus`](../deploy/prometheus) has a scrape configuration and alert rules,
[`deploy/grafana`](../deploy/grafana) a dashboard, and [runbook.md](runbook.md) what to do about each alert.

Unless its line says otherwise, a counter or histogram is there from the start, at 0, with every label value.
";

/// The list of all metrics as Markdown.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for area in TABLE {
        let _ = writeln!(text, "\n## {}\n", area.title);
        for metric in area.metrics {
            describe(&mut text, metric);
        }
    }
    text
}

/// One list item.
fn describe(text: &mut String, metric: &Metric) {
    let _ = writeln!(
        text,
        "- **`{}`**, {} ({}), from {}{}<br>{}",
        metric.name,
        metric.kind.as_str(),
        metric.unit.as_str(),
        roles(metric.roles),
        if appears_late(metric) { ", once there is something to say" } else { "" },
        metric.help
    );
    for label in metric.labels {
        let _ = writeln!(text, "  - `{}`: {}", label.name, values(label));
    }
    if metric.kind == Kind::Histogram {
        let bounds: Vec<String> = metric.buckets.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  - buckets up to {}", bounds.join(", "));
    }
}

fn appears_late(metric: &Metric) -> bool {
    metric.kind != Kind::Gauge && metric.starting_label_sets().is_empty()
}

fn roles(roles: &[Role]) -> String {
    if roles == Role::ALL {
        return "every role".to_owned();
    }
    let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    names.join(" and ")
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Of(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        Values::Configured(what) => what.to_owned(),
    }
}
