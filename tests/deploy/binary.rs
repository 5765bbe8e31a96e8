//! What chart, compose, image and units tell the binary, asked of the binary.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use whimbrel_testkit::process::{Builder, Whimbrel};

use super::compose::{Service, services};
use super::objects::{list, pods, variables};
use super::tools::{VALUES, objects, root};
use crate::harness::finish;

/// The effective configuration under these variables; fails where the binary does not know one.
async fn effective(variables: &BTreeMap<String, String>) -> Result<String> {
    let mut command = Whimbrel::command("config");
    for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("WHIMBREL_") || name.starts_with("OTEL_"))
    {
        // What comes out of a Secret is not here: any text will do.
        command = command.env(name, if value.is_empty() { "x" } else { value });
    }
    let written = finish(command).await?.join("\n");
    anyhow::ensure!(!written.contains("is not one of Whimbrel's"), "{written}");
    Ok(written)
}

/// `--help` is given only after all that stands before it was understood.
async fn understands<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<()> {
    let command = Whimbrel::command(words.next().context("a subcommand")?);
    finish(words.fold(command, Builder::arg).arg("--help")).await?;
    Ok(())
}

#[tokio::test]
async fn the_binary_understands_what_the_chart_tells_it() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        for (process, pod) in pods(&objects) {
            let context = || format!("{values}: {process}");
            let mut variables = variables(&objects, &pod);
            // A list may be empty; a Secret's value is not.
            variables.retain(|name, value| !(value.is_empty() && name.ends_with("_NETWORKS")));
            let told = effective(&variables).await.with_context(context)?;
            assert!(told.contains("format = \"json\""), "{}: {told}", context());
            let words = list(&pod, "/spec/containers/0/args").iter().filter_map(Value::as_str);
            understands(words).await.with_context(context)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn values_reach_the_binary_as_they_are() -> Result<()> {
    let objects = objects("production", &[])?;
    let told = effective(&variables(&objects, &pods(&objects)["sender"])).await?;
    for line in [
        "listen = \"0.0.0.0:8080\"",
        "ops_listen = \"0.0.0.0:9090\"",
        "contracts_dir = \"/etc/whimbrel/contracts\"",
        "allow_http = true",
        "allow_networks = [\"10.20.0.0/16\", \"10.30.0.0/16\"]",
        "trusted_users = [\"whimbrel-api\", \"whimbrel-tracker\"]",
        "live_slots = 200",
        "grace = \"2m\"",
        "window = 256",
        "level = \"info,whimbrel_sender=debug\"",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
    }
    Ok(())
}

#[tokio::test]
async fn the_binary_understands_what_compose_tells_it() -> Result<()> {
    for (name, Service { command, environment, .. }) in services()? {
        if !command.first().is_some_and(|word| ["serve", "migrate", "topology"].contains(&word.as_str())) {
            continue;
        }
        let mut variables = environment;
        variables.retain(|_, value| !value.is_empty());
        effective(&variables).await.with_context(|| name.clone())?;
        understands(command.iter().map(String::as_str)).await.with_context(|| name.clone())?;
    }
    Ok(())
}

#[tokio::test]
async fn the_binary_understands_what_the_units_tell_it() -> Result<()> {
    let mut commands = 0;
    for entry in std::fs::read_dir(root().join("deploy/systemd"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=/usr/bin/whimbrel ")) {
            let command = line.replace("%i", "tracker");
            understands(command.split(' ')).await.with_context(|| line.to_owned())?;
            commands += 1;
        }
        let settings = text.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
        for (name, _) in settings {
            assert!(["WHIMBREL_CONFIG", "WHIMBREL_DATA_DIR"].contains(&name), "{name}");
        }
    }
    assert_eq!(commands, 5);
    Ok(())
}
