//! What the sources count, read from their text.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::endpoint::{EndpointStatus, SuspendReason};
use whimbrel_core::port::Lane;
use whimbrel_core::replay::ReplayKind;
use whimbrel_core::time::Timestamp;
use whimbrel_telemetry::{Kind, Metric, Values, all_metrics};

/// One use of a macro of the `metrics` crate.
struct Call {
    kind: Kind,
    /// The arguments' text.
    arguments: String,
    file: String,
}

impl Call {
    fn name(&self) -> Option<&str> {
        self.arguments.trim_start().strip_prefix('"')?.split('"').next()
    }

    fn labels(&self) -> Vec<&str> {
        let before: Vec<&str> = self.arguments.split("=>").collect();
        // Each part but the last ends with the label's name in quotes.
        let named = before[..before.len() - 1].iter().filter_map(|part| part.trim_end().strip_suffix('"'));
        named.filter_map(|part| part.rsplit('"').next()).collect()
    }
}

/// Every source outside the crate that defines the table.
fn sources() -> Result<Vec<(String, String)>> {
    let mut sources = Vec::new();
    gather(&crate::path("crates"), &mut sources)?;
    let crates = crate::path("crates").display().to_string();
    for (file, _) in &mut sources {
        *file = file.trim_start_matches(&crates).to_owned();
    }
    sources.retain(|(file, _)| !file.starts_with("/telemetry/"));
    ensure!(sources.len() > 100, "only {} sources were found", sources.len());
    Ok(sources)
}

fn gather(folder: &Path, sources: &mut Vec<(String, String)>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

fn calls() -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for (file, text) in sources()? {
        for (word, kind) in [("counter!(", Kind::Counter), ("gauge!(", Kind::Gauge), ("histogram!(", Kind::Histogram)] {
            for (at, _) in text.match_indices(word) {
                let arguments = text[at + word.len()..].split(';').next().unwrap_or_default();
                calls.push(Call { kind, arguments: balanced(arguments).to_owned(), file: file.clone() });
            }
        }
    }
    Ok(calls)
}

/// Up to the parenthesis that closes the macro.
fn balanced(text: &str) -> &str {
    let mut depth = 1;
    for (at, char) in text.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

fn metric(name: &str) -> Option<&'static Metric> {
    all_metrics().find(|metric| metric.name == name)
}

#[test]
fn every_call_counts_what_the_table_says() -> Result<()> {
    for call in calls()? {
        let Call { kind, file, arguments } = &call;
        let name = call.name().with_context(|| format!("{file}: a metric without a literal name: {arguments}"))?;
        let metric = metric(name).with_context(|| format!("{file}: {name} is not in the table"))?;
        ensure!(metric.kind == *kind, "{file}: {name} is a {} in the table", metric.kind.as_str());
        let labels: Vec<&str> = metric.labels.iter().map(|label| label.name).collect();
        ensure!(call.labels() == labels, "{file}: {name} has {:?}, the table says {labels:?}", call.labels());
    }
    Ok(())
}

#[test]
fn every_metric_of_the_table_is_counted_somewhere() -> Result<()> {
    let calls = calls()?;
    let counted: BTreeSet<&str> = calls.iter().filter_map(Call::name).collect();
    let idle: Vec<&str> = all_metrics().map(|metric| metric.name).filter(|name| !counted.contains(name)).collect();
    ensure!(idle.is_empty(), "nothing counts {idle:?}");
    Ok(())
}

#[test]
fn names_follow_the_convention_and_are_unique() {
    let mut names = BTreeSet::new();
    for metric in all_metrics() {
        assert!(names.insert(metric.name), "{} stands twice", metric.name);
        assert!(metric.name.starts_with("whimbrel_"), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
        assert_eq!(metric.buckets.is_empty(), metric.kind != Kind::Histogram, "{}", metric.name);
        assert!(metric.buckets.is_sorted(), "{}", metric.name);
        assert!(metric.help.ends_with('.') && !metric.roles.is_empty(), "{}", metric.name);
    }
}

fn values(metric_name: &str, label: &str) -> &'static [&'static str] {
    let found = metric(metric_name).and_then(|metric| metric.labels.iter().find(|known| known.name == label));
    match found.map(|label| label.values) {
        Some(Values::Of(values)) => values,
        other => panic!("{metric_name}: {other:?}"),
    }
}

#[test]
fn the_values_of_labels_are_the_words_of_the_core() {
    let lanes = Lane::ALL.map(Lane::as_str);
    for metric in all_metrics().filter(|metric| metric.labels.iter().any(|label| label.name == "lane")) {
        assert_eq!(values(metric.name, "lane"), lanes, "{}", metric.name);
    }
    for word in values("whimbrel_endpoints_suspended_total", "reason") {
        assert!(SuspendReason::parse(word).is_some(), "{word}");
    }
    let (reason, since) = (SuspendReason::Gone, Timestamp::from_secs(0));
    let statuses = [EndpointStatus::Active, EndpointStatus::Suspended { reason, since }, EndpointStatus::Disabled];
    assert_eq!(values("whimbrel_endpoints", "state"), statuses.map(EndpointStatus::as_str));
    for word in values("whimbrel_replayed_total", "kind") {
        assert!(ReplayKind::parse(word).is_some(), "{word}");
    }
    for word in values("whimbrel_deliveries_total", "state") {
        let state = DeliveryState::from_columns(word, Some("exhausted"), Some(Timestamp::from_secs(0)));
        assert!(state.is_some_and(|state| state.is_final()), "{word}");
    }
}

/// A client cannot make series: each reason is a word of the sources.
#[test]
fn every_reason_of_a_rejection_is_in_the_table() -> Result<()> {
    let reasons = values("whimbrel_events_rejected_total", "reason");
    let mut seen = BTreeSet::from(["rate_limited".to_owned()]);
    for (file, text) in sources()?.into_iter().filter(|(file, _)| !file.contains("/tests")) {
        for part in text.split("Rejection::new(").skip(1) {
            if let Some(reason) = part.trim_start().strip_prefix('"').and_then(|part| part.split('"').next()) {
                ensure!(reasons.contains(&reason), "{file}: the reason {reason} is not in the table");
                seen.insert(reason.to_owned());
            }
        }
    }
    let idle: Vec<_> = reasons.iter().filter(|reason| !seen.contains(**reason)).collect();
    ensure!(idle.is_empty(), "no rejection has the reasons {idle:?}");
    Ok(())
}
