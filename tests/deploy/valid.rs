//! Every object, held against the schemas of what will take it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::objects::{find, name, text};
use super::tools::{VALUES, file, objects, render, root, run, tool};

/// The oldest version that the chart takes, kubectl's own, and the newest that the validator knows.
const KUBERNETES: [&str; 3] = ["1.30", "1.34", "1.37"];
/// Whose packages hold their schemas.
const PACKAGED: [&str; 3] = ["gateway.networking.k8s.io/", "keda.sh/", "monitoring.coreos.com/"];
/// Whose fields are listed in `operators.yaml`.
pub(super) const OPERATED: [&str; 2] = ["postgresql.cnpg.io/", "rabbitmq.com/"];

fn is_of(object: &Value, groups: &[&str]) -> bool {
    groups.iter().any(|group| text(object, "/apiVersion").starts_with(group))
}

fn is_built_in(object: &Value) -> bool {
    !is_of(object, &PACKAGED) && !is_of(object, &OPERATED)
}

fn validate(yaml: &str, version: &str) -> Result<String> {
    let file = file(".yaml", yaml)?;
    run(tool("venv/bin/kubernetes-validate")?.args(["--strict", "--kubernetes-version", version]).arg(file.path()))
}

#[test]
fn every_object_passes_kubernetes_validate() -> Result<()> {
    for values in VALUES {
        let yaml = render(values, &[])?;
        let wanted = objects(values, &[])?.iter().filter(|object| is_built_in(object)).count();
        for version in KUBERNETES {
            let report = validate(&yaml, version)?;
            let passed = report.lines().filter(|line| line.contains(" passed for resource ")).count();
            assert_eq!(passed, wanted, "{values} against {version}: {report}");
        }
    }
    Ok(())
}

#[test]
fn kubernetes_validate_would_see_a_field_that_nobody_knows() -> Result<()> {
    let yaml = render("minimal", &[])?.replace("enableServiceLinks: false", "enableServiceLink: false");
    let error = validate(&yaml, "1.34").err().context("it lets everything through")?;
    assert!(error.to_string().contains("enableServiceLink"), "{error}");
    Ok(())
}

/// The schemas and types that npm's packages carry; the names of what passed.
fn check_custom(objects: &[&Value]) -> Result<BTreeSet<String>> {
    let file = file(".json", &serde_json::to_string(objects)?)?;
    // Node looks for packages beside the link in target/deploy, not beside what it points to.
    tool("bin/helm")?;
    let mut node = std::process::Command::new("node");
    node.args(["--preserve-symlinks", "--preserve-symlinks-main"]).arg(root().join("target/deploy/node/custom.mjs"));
    let report = run(node.arg(file.path()))?;
    Ok(report.lines().filter_map(|line| Some(line.strip_prefix("ok ")?.to_owned())).collect())
}

#[test]
fn custom_resources_pass_the_schemas_of_their_packages() -> Result<()> {
    let mut kinds = BTreeSet::new();
    for values in ["production", "operators"] {
        let objects = objects(values, &[])?;
        let custom: Vec<&Value> = objects.iter().filter(|object| is_of(object, &PACKAGED)).collect();
        let wanted = custom.iter().map(|object| format!("{} {}", text(object, "/kind"), name(object))).collect();
        assert_eq!(check_custom(&custom)?, wanted, "{values}");
        kinds.extend(custom.iter().map(|object| text(object, "/kind").to_owned()));
    }
    let all = ["HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor", "TriggerAuthentication"];
    assert_eq!(kinds, all.map(str::to_owned).into(), "each is in one of the value sets");
    Ok(())
}

#[test]
fn a_custom_resource_with_a_wrong_or_unknown_field_is_refused() -> Result<()> {
    let objects = objects("production", &[])?;
    let good = find(&objects, "ScaledObject", "hooks-whimbrel-sender").context("a ScaledObject")?;
    let wrong = [("/spec/triggers/0/metadata/value", json!(5)), ("/spec/triggers/0", json!({"kind": "rabbitmq"}))];
    for (pointer, value) in wrong {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).context("it is there")? = value;
        check_custom(&[&bad]).err().with_context(|| format!("{pointer} is let through"))?;
    }
    let mut unknown = good.clone();
    unknown["spec"]["pollInterval"] = json!(15);
    let error = check_custom(&[&unknown]).err().context("an unknown field is let through")?;
    assert!(error.to_string().contains("pollInterval"), "{error}");
    Ok(())
}

/// The client's half of `kubectl create`: it decodes each object by its own types.
#[test]
fn kubectl_takes_every_object_in_a_dry_run() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        let (yaml, kinds) = (file(".yaml", &render(values, &[])?)?, file(".json", &serde_json::to_string(&objects)?)?);
        let kubectl = tool("bin/kubectl")?;
        let mut command = std::process::Command::new(root().join("tests/deploy/discovery"));
        command.arg(kinds.path()).arg(kubectl.get_program());
        command.args(["create", "--dry-run=client", "--validate=false", "--server=SERVER", "--namespace=webhooks"]);
        let report = run(command.args(["--output=name", "--filename"]).arg(yaml.path()))?;
        let named: BTreeSet<&str> =
            report.lines().filter_map(|line| line.split_once('/')).map(|(_, name)| name).collect();
        ensure!(report.lines().count() == objects.len(), "{values}: {report}");
        assert_eq!(named, objects.iter().map(name).collect(), "{values}");
    }
    Ok(())
}
