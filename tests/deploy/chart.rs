//! The chart as helm sees it.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::objects::{at, text};
use super::tools::{VALUES, documents, read, render, root, run, tool};

#[test]
fn helm_lints_strictly_and_renders_every_value_set() -> Result<()> {
    for values in VALUES {
        let file = format!("tests/deploy/values/{values}.yaml");
        run(tool("bin/helm")?.args(["lint", "--strict", "deploy/helm/whimbrel", "--values", &file]))?;
        assert!(render(values, &[])?.contains("kind: Deployment"), "{values}");
    }
    Ok(())
}

#[test]
fn what_cannot_work_is_refused_with_words() -> Result<()> {
    for (set, words) in [
        ("credentials.values.secretsKeys=", "whimbrel secrets generate"),
        ("credentials.values.databaseUrl=", "no PostgreSQL"),
        ("credentials.values.amqpUrl=", "no RabbitMQ"),
        ("credentials.values.amqpUrl=http://broker", "amqps?"),
        ("credentials.amqpUrlPerRole=true", "credentials.values.amqpUrls.api is not"),
        ("credentials.separateOwner=true", "ownerDatabaseUrl"),
        ("rabbitmq.topology.enabled=true", "rabbitmq.topology needs a broker"),
        ("roles.api.autoscaling.engine=keda", "the api reads none"),
        ("roles.sender.autoscaling.engine=keda", "managementUrl"),
        ("roles.api.totals.live_slots=1", "/roles/api"),
        ("roles.sender.replica=3", "/roles/sender"),
        ("config.lisen=1", "lisen"),
        ("config.sender.grace=1h", "1h"),
        ("networkPolicy.apiFrom=null", "apiFrom"),
        ("networkPolicy.database.to=null", "/networkPolicy/database"),
        ("ingress.enabled=true", "hosts"),
        ("httpRoute.enabled=true", "parentRefs"),
    ] {
        let error = render("minimal", &[set]).err().with_context(|| format!("{set} is let through"))?;
        assert!(error.to_string().contains(words), "{set}: {error}");
    }
    Ok(())
}

#[test]
fn the_chart_has_the_workspaces_version() -> Result<()> {
    let chart = documents(&read("deploy/helm/whimbrel/Chart.yaml")?)?.remove(0);
    assert_eq!(text(&chart, "/version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&chart, "/appVersion"), env!("CARGO_PKG_VERSION"));
    Ok(())
}

#[test]
fn the_copies_in_the_chart_are_in_step() -> Result<()> {
    run(Command::new(root().join("deploy/helm/sync")).arg("--check"))?;
    Ok(())
}

/// Alerts come over whole, and nothing in them is taken for helm's own braces.
#[test]
fn alerts_and_dashboard_come_over_whole() -> Result<()> {
    let objects = super::tools::objects("production", &[])?;
    let rules = super::objects::of_kind(&objects, "PrometheusRule").next().context("a PrometheusRule")?;
    assert_eq!(*at(rules, "/spec"), documents(&read("deploy/prometheus/whimbrel.rules.yaml")?)?.remove(0));
    let dashboard = super::objects::find(&objects, "ConfigMap", "hooks-whimbrel-dashboard").context("a dashboard")?;
    let shown: Value = serde_json::from_str(text(dashboard, "/data/whimbrel.json"))?;
    assert_eq!(shown, serde_json::from_str::<Value>(&read("deploy/grafana/whimbrel.json")?)?);
    Ok(())
}

/// What `config` may hold is what the binary knows, but for secrets and what is the chart's own business.
#[test]
fn the_schema_has_the_configurations_keys() -> Result<()> {
    const ELSEWHERE: [&str; 8] =
        ["listen", "ops_listen", "data_dir", "database_url", "amqp_url", "admin_key", "contracts_dir", "retry_scale"];
    let schema: Value = serde_json::from_str(&read("deploy/helm/whimbrel/values.schema.json")?)?;
    let mut known = BTreeSet::new();
    for (key, entry) in at(&schema, "/properties/config/properties").as_object().context("an object")? {
        match entry.get("properties").and_then(Value::as_object) {
            Some(section) => known.extend(section.keys().map(|inner| format!("{key}.{inner}"))),
            None => drop(known.insert(key.clone())),
        }
    }
    assert!(known.remove("retry_scale"), "for demos");
    let of_example = example_keys(&read("whimbrel.example.toml")?);
    let wanted = of_example.into_iter().filter(|key| !ELSEWHERE.contains(&key.as_str()));
    let secret = ["amqp.redrive_url", "egress.proxy", "secrets.keys"];
    assert_eq!(known, wanted.filter(|key| !secret.contains(&key.as_str())).collect());
    Ok(())
}

/// Keys of the example, those that are commented out as well.
fn example_keys(example: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in example.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}
