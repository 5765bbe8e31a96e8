//! The alert rules.

use anyhow::{Context, Result, ensure};
use yaml_serde::Value;

use crate::promql;

const ALERTS: usize = 8;

fn yaml(file: &str) -> Result<Value> {
    yaml_serde::from_str(&crate::read(file)?).with_context(|| format!("{file} is no YAML"))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("no text {key} in {value:?}"))
}

fn rules() -> Result<Vec<Value>> {
    let file = yaml("deploy/prometheus/whimbrel.rules.yaml")?;
    let rules: Vec<Value> = items(&file["groups"]).flat_map(|group| items(&group["rules"])).cloned().collect();
    ensure!(rules.len() == ALERTS, "{} alerts", rules.len());
    Ok(rules)
}

#[test]
fn every_alert_asks_for_what_the_code_exports() -> Result<()> {
    for rule in rules()? {
        let alert = text(&rule, "alert")?;
        promql::check(text(&rule, "expr")?).with_context(|| alert.to_owned())?;
    }
    Ok(())
}

/// A heading's anchor, as hosts of repositories make it.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

#[test]
fn every_alert_says_what_to_do_and_has_its_section_in_the_runbook() -> Result<()> {
    let runbook = crate::read("docs/runbook.md")?;
    let sections: Vec<String> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    for rule in rules()? {
        let alert = text(&rule, "alert")?;
        let severity = text(&rule["labels"], "severity")?;
        ensure!(["critical", "warning"].contains(&severity), "{alert}: {severity}");
        ensure!(!text(&rule["annotations"], "summary")?.is_empty(), "{alert}");
        ensure!(text(&rule["annotations"], "description")?.len() > 80, "{alert}");
        let link = text(&rule["annotations"], "runbook_url")?;
        let section = link.strip_prefix("docs/runbook.md#").with_context(|| link.to_owned())?;
        ensure!(sections.iter().any(|known| known == section), "{alert}: no section {section} in docs/runbook.md");
        ensure!(runbook.contains(&format!("`{alert}`")), "docs/runbook.md does not name {alert}");
    }
    Ok(())
}

/// `promtool` runs the tests; this one sees to it that there is one of each kind for each alert.
#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> Result<()> {
    let file = yaml("deploy/prometheus/tests.yaml")?;
    let tests: Vec<&Value> = items(&file["tests"]).flat_map(|test| items(&test["promql_expr_test"])).collect();
    for rule in rules()? {
        let name = format!("alertname=\"{}\"", text(&rule, "alert")?);
        let fires = |test: &&Value| {
            items(&test["exp_samples"]).any(|sample| sample["labels"].as_str().is_some_and(|text| text.contains(&name)))
        };
        let is_quiet = |test: &&Value| {
            test["expr"].as_str().is_some_and(|expr| expr.contains(&name)) && items(&test["exp_samples"]).count() == 0
        };
        ensure!(tests.iter().any(fires), "no test in which {name} fires");
        ensure!(tests.iter().any(is_quiet), "no test in which {name} does not fire");
    }
    Ok(())
}
