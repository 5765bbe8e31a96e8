//! compose.yaml, and the files it brings in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use yaml_serde::Value as Yaml;

use super::objects::{at, list, text};
use super::tools::{documents, read, root, run, tool};

/// What the tests ask of a service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) command: Vec<String>,
    /// With the defaults of `${NAME:-default}`.
    pub(super) environment: BTreeMap<String, String>,
    whole: Value,
}

/// The services by name, anchors resolved.
pub(super) fn services() -> Result<BTreeMap<String, Service>> {
    let mut yaml: Yaml = yaml_serde::from_str(&read("deploy/compose.yaml")?)?;
    yaml.apply_merge()?;
    let file = serde_json::to_value(yaml)?;
    let all = file["services"].as_object().context("services")?;
    Ok(all.iter().map(|(name, service)| (name.clone(), parse(service))).collect())
}

fn parse(service: &Value) -> Service {
    let words = list(service, "/command").iter().filter_map(Value::as_str).map(str::to_owned);
    let variables = at(service, "/environment").as_object().into_iter().flatten();
    let value = |value: &Value| with_default(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    Service {
        command: words.collect(),
        environment: variables.map(|(name, text)| (name.clone(), value(text))).collect(),
        whole: service.clone(),
    }
}

fn with_default(value: String) -> String {
    let inner = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.and_then(|inner| Some(inner.split_once(":-")?.1.to_owned())).unwrap_or(value)
}

#[test]
fn compose_passes_its_specifications_schema() -> Result<()> {
    run(tool("venv/bin/check-jsonschema")?.args(["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]))?;
    Ok(())
}

#[test]
fn compose_runs_every_role_with_the_brokers_user_of_its_name() -> Result<()> {
    let services = services()?;
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")?)?;
    let users: BTreeSet<&str> = list(&definitions, "/users").iter().map(|user| text(user, "/name")).collect();
    let vhost = text(&definitions, "/vhosts/0/name");
    for role in ["api", "ingest", "sender", "tracker", "topology"] {
        let service = services.get(role).with_context(|| role.to_owned())?;
        let user = format!("whimbrel-{role}");
        let url = &service.environment["WHIMBREL_AMQP_URL"];
        assert!(url.starts_with(&format!("amqp://{user}:development@rabbitmq/{vhost}")), "{url}");
        assert!(users.contains(user.as_str()), "{user}");
        let redrive = service.environment.get("WHIMBREL_AMQP__REDRIVE_URL");
        let wanted = (role == "tracker").then(|| url.replace(&user, "whimbrel-redrive"));
        assert_eq!(redrive, wanted.as_ref(), "{role}: as in the chart, the tracker alone reads what is parked");
        if role != "topology" {
            assert_eq!(service.command, ["serve", "--role", role]);
            assert_eq!(text(&service.whole, "/depends_on/migrate/condition"), "service_completed_successfully");
        }
    }
    let setup = services["rabbitmq-users"].command.join("\n");
    for user in users {
        assert!(setup.contains(user.trim_start_matches("whimbrel-")), "{user} gets a password");
    }
    Ok(())
}

#[test]
fn compose_opens_nothing_to_other_machines_and_mounts_what_exists() -> Result<()> {
    for (name, service) in services()? {
        for port in list(&service.whole, "/ports") {
            assert!(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "{name}: {port}");
        }
        for volume in list(&service.whole, "/volumes").iter().filter_map(Value::as_str) {
            let (source, _) = volume.split_once(':').context("source:target")?;
            let is_there = !source.starts_with('.') || root().join("deploy").join(source).exists();
            ensure!(is_there, "{name}: {source} does not exist");
        }
        let dependencies = at(&service.whole, "/depends_on").as_object().cloned().unwrap_or_default();
        for dependency in dependencies.keys() {
            ensure!(services()?.contains_key(dependency), "{name}: {dependency}");
        }
    }
    Ok(())
}

/// Prometheus asks the roles by the names they have here.
#[test]
fn prometheus_finds_the_roles() -> Result<()> {
    let config = documents(&read("deploy/prometheus/prometheus.yaml")?)?.remove(0);
    let jobs = list(&config, "/scrape_configs").iter().flat_map(|job| list(job, "/static_configs"));
    let targets: BTreeSet<&str> = jobs.flat_map(|job| list(job, "/targets")).filter_map(Value::as_str).collect();
    let services = services()?;
    for role in ["api", "ingest", "sender", "tracker"] {
        assert!(services.contains_key(role));
        assert!(targets.contains(format!("{role}:9090").as_str()), "{role}: {targets:?}");
    }
    Ok(())
}

/// What the pipelines name is defined, and what is defined is used; roles send where it listens.
#[test]
fn the_collectors_parts_fit_together() -> Result<()> {
    let config = documents(&read("deploy/otel/collector.yaml")?)?.remove(0);
    let pipelines = config["service"]["pipelines"].as_object().context("pipelines")?;
    for section in ["receivers", "processors", "exporters"] {
        let pointer = format!("/{section}");
        let used: BTreeSet<&str> =
            pipelines.values().flat_map(|pipeline| list(pipeline, &pointer)).filter_map(Value::as_str).collect();
        let defined = config[section].as_object().with_context(|| section.to_owned())?;
        assert_eq!(used, defined.keys().map(String::as_str).collect(), "{section}");
    }
    let port = text(&config, "/receivers/otlp/protocols/http/endpoint").rsplit(':').next().context("a port")?;
    let sent_to = &services()?["sender"].environment["OTEL_EXPORTER_OTLP_ENDPOINT"];
    assert_eq!(*sent_to, format!("http://otel-collector:{port}"));
    Ok(())
}
