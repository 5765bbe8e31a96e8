//! The Grafana dashboard.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use whimbrel_telemetry::all_metrics;

use crate::promql;

/// Every object in the document, at any depth.
fn objects<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| objects(item, found)),
        Value::Object(fields) => {
            found.push(value);
            fields.values().for_each(|field| objects(field, found));
        }
        _ => {}
    }
}

#[test]
fn every_query_names_metrics_that_the_code_exports() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&crate::read("deploy/grafana/whimbrel.json")?)?;
    let mut found = Vec::new();
    objects(&dashboard, &mut found);
    let queries: Vec<&str> = found.iter().filter_map(|object| object["expr"].as_str()).collect();
    ensure!(queries.len() >= 25, "only {} queries were found", queries.len());
    let mut shown = BTreeSet::new();
    for query in queries {
        shown.extend(promql::check(query).with_context(|| query.to_owned())?.iter().map(|metric| metric.name));
    }
    let hidden: Vec<&str> = all_metrics().map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
    ensure!(hidden.is_empty(), "no panel shows {hidden:?}");
    Ok(())
}

#[test]
fn every_panel_has_a_title_a_place_and_an_id_of_its_own() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&crate::read("deploy/grafana/whimbrel.json")?)?;
    let panels = dashboard["panels"].as_array().context("panels")?;
    let mut ids = BTreeSet::new();
    let mut places = BTreeSet::new();
    for panel in panels {
        ensure!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{panel}");
        ensure!(ids.insert(panel["id"].as_u64().context("an id")?), "{panel}");
        ensure!(places.insert((panel["gridPos"]["y"].as_u64(), panel["gridPos"]["x"].as_u64())), "{panel}");
    }
    let rows: Vec<&str> =
        panels.iter().filter(|panel| panel["type"] == "row").filter_map(|panel| panel["title"].as_str()).collect();
    ensure!(
        rows == ["Overview", "Intake", "Delivery", "Lanes and tiers", "Endpoints", "Tracker", "Store and broker"],
        "{rows:?}"
    );
    Ok(())
}
