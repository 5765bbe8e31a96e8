//! The names in a PromQL expression: enough of its grammar to find metrics, their matchers and grouping labels.

use anyhow::{Context, Result, ensure};
use whimbrel_telemetry::{Kind, Metric, Values, all_metrics};

/// Words that are no metrics where no parenthesis follows.
const WORDS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "group_left", "group_right", "inf"];
/// Words whose parenthesis holds labels.
const GROUPINGS: [&str; 4] = ["by", "without", "on", "ignoring"];
/// Labels that Prometheus or an expression adds.
const ADDED: [&str; 4] = ["instance", "job", "role", "le"];

/// A metric as an expression selects it.
#[derive(Debug, PartialEq, Eq)]
struct Selector {
    name: String,
    /// Label, operator, value.
    matchers: Vec<(String, String, String)>,
}

/// What an expression names.
#[derive(Debug, Default)]
struct Names {
    selectors: Vec<Selector>,
    grouping: Vec<String>,
}

/// Every metric and label in the expression is one that the code exports; gives the metrics.
pub(crate) fn check(expression: &str) -> Result<Vec<&'static Metric>> {
    let names = names(expression);
    ensure!(!names.selectors.is_empty(), "no metric in `{expression}`");
    let mut metrics = Vec::new();
    for selector in &names.selectors {
        let metric = find(&selector.name).with_context(|| format!("`{}` is not exported", selector.name))?;
        for (label, operator, value) in &selector.matchers {
            check_matcher(metric, label, operator, value)?;
        }
        metrics.push(metric);
    }
    for label in &names.grouping {
        let known = metrics.iter().any(|metric| metric.labels.iter().any(|known| known.name == label));
        let made = expression.contains(&format!("\"{label}\", \"$1\""));
        ensure!(known || made || ADDED.contains(&label.as_str()), "no metric of `{expression}` has the label {label}");
    }
    Ok(metrics)
}

fn find(name: &str) -> Option<&'static Metric> {
    all_metrics().find(|metric| match metric.kind {
        Kind::Histogram => ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(end) == Some(metric.name)),
        Kind::Counter | Kind::Gauge => metric.name == name,
    })
}

fn check_matcher(metric: &Metric, label: &str, operator: &str, value: &str) -> Result<()> {
    if ADDED.contains(&label) {
        return Ok(());
    }
    let known = metric.labels.iter().find(|known| known.name == label);
    let known = known.with_context(|| format!("{} has no label {label}", metric.name))?;
    if let (Values::Of(values), "=" | "!=") = (known.values, operator) {
        ensure!(values.contains(&value), "{}: {label} is never {value}", metric.name);
    }
    Ok(())
}

fn names(expression: &str) -> Names {
    let mut names = Names::default();
    let mut rest = expression;
    while let Some(char) = rest.chars().next() {
        if char.is_ascii_alphabetic() || char == '_' {
            let (word, after) = split_word(rest);
            rest = take_word(word, after, &mut names);
        } else if char == '"' {
            rest = rest[1..].split_once('"').map_or("", |(_, after)| after);
        } else if char == '[' {
            rest = rest.split_once(']').map_or("", |(_, after)| after);
        } else if char.is_ascii_digit() || char == '$' {
            // A number with its unit, or a variable of the dashboard's.
            rest = split_word(&rest[1..]).1;
        } else {
            rest = &rest[char.len_utf8()..];
        }
    }
    names
}

fn take_word<'a>(word: &str, after: &'a str, names: &mut Names) -> &'a str {
    let next = after.trim_start();
    if GROUPINGS.contains(&word) {
        let (labels, after) = next.strip_prefix('(').and_then(|next| next.split_once(')')).unwrap_or_default();
        names.grouping.extend(labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned));
        return after;
    }
    let is_aggregation = ["by", "without"].contains(&split_word(next).0);
    if next.starts_with('(') || is_aggregation || WORDS.contains(&word) {
        return after;
    }
    let (matchers, after) = match next.strip_prefix('{').and_then(|next| next.split_once('}')) {
        Some((matchers, after)) => (split_matchers(matchers), after),
        None => (Vec::new(), after),
    };
    names.selectors.push(Selector { name: word.to_owned(), matchers });
    after
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_' && char != ':');
    text.split_at(end.unwrap_or(text.len()))
}

fn split_matchers(text: &str) -> Vec<(String, String, String)> {
    let mut matchers = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        let (value, after) = after.split_once('"').unwrap_or((after, ""));
        let (label, operator) = split_word(before.trim_start_matches([',', ' ', '\n']));
        matchers.push((label.to_owned(), operator.trim().to_owned(), value.to_owned()));
        rest = after;
    }
    matchers
}

#[test]
fn metrics_are_told_from_functions_words_and_labels() {
    let expression = r#"histogram_quantile(0.9, sum by (le, lane) (rate(a_bucket{lane=~"live|slow", x!="1"}[$__rate_interval])))
        or on () min_over_time(b[5m:15s] offset 5m) > bool 1e3 unless label_replace(c, "d", "$1", "e", "f") == 2"#;
    let names = names(expression);
    let found: Vec<&str> = names.selectors.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(found, ["a_bucket", "b", "c"]);
    assert_eq!(names.grouping, ["le", "lane"]);
    let matcher = |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    assert_eq!(names.selectors[0].matchers, [matcher("lane", "=~", "live|slow"), matcher("x", "!=", "1")]);
}

#[test]
fn what_the_code_does_not_export_is_found() {
    for wrong in [
        "rate(whimbrel_events_total[5m])",
        "sum(up)",
        "whimbrel_attempts_total{outcome=\"success\"}",
        "whimbrel_attempts_total{result=\"good\"}",
        "sum by (endpoint) (whimbrel_attempts_total)",
        "rate(whimbrel_ping_seconds[5m])",
        "vector(1)",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
    assert!(check("sum by (result) (rate(whimbrel_attempts_total{result=\"success\"}[5m]))").is_ok());
}
