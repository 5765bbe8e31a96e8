//! What runs, and with which rights.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::objects::{at, component, find, list, name, of_kind, pods, text};
use super::tools::{VALUES, objects};

const ROLES: [&str; 4] = ["api", "ingest", "sender", "tracker"];

#[test]
fn nothing_is_a_hook_that_could_wait_for_what_it_blocks() -> Result<()> {
    for values in VALUES {
        for object in objects(values, &[])? {
            let annotations = at(&object, "/metadata/annotations").as_object().cloned().unwrap_or_default();
            let hook = annotations.keys().find(|key| key.contains("hook") || key.contains("sync-wave"));
            assert_eq!(hook, None, "{values}: {}", name(&object));
            assert!(at(&object, "/spec/template/spec/initContainers").is_null(), "{values}: {}", name(&object));
        }
    }
    Ok(())
}

fn job_names(sets: &[&str]) -> Result<BTreeSet<String>> {
    Ok(of_kind(&objects("minimal", sets)?, "Job").map(|job| name(job).to_owned()).collect())
}

/// A Job cannot be changed: what is other in it needs another name, and nothing else may.
#[test]
fn jobs_are_named_for_what_they_run() -> Result<()> {
    let names = job_names(&[])?;
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(job_names(&["roles.api.replicas=7", "service.port=81"])?, names);
    for other in ["image.tag=v2", "config.retry_scale=2", "jobs.resources.limits.memory=1Gi"] {
        assert!(job_names(&[other])?.is_disjoint(&names), "{other}");
    }
    Ok(())
}

#[test]
fn rule_32_no_service_becomes_a_variable() -> Result<()> {
    for values in VALUES {
        for (process, pod) in pods(&objects(values, &[])?) {
            assert_eq!(*at(&pod, "/spec/enableServiceLinks"), json!(false), "{values}: {process}");
        }
    }
    Ok(())
}

#[test]
fn pods_have_no_more_rights_than_they_need() -> Result<()> {
    for values in VALUES {
        for (process, pod) in pods(&objects(values, &[])?) {
            for (pointer, wanted) in [
                ("/spec/automountServiceAccountToken", json!(false)),
                ("/spec/securityContext/runAsNonRoot", json!(true)),
                ("/spec/securityContext/seccompProfile/type", json!("RuntimeDefault")),
                ("/spec/containers/0/securityContext/readOnlyRootFilesystem", json!(true)),
                ("/spec/containers/0/securityContext/allowPrivilegeEscalation", json!(false)),
                ("/spec/containers/0/securityContext/capabilities", json!({"drop": ["ALL"]})),
            ] {
                assert_eq!(*at(&pod, pointer), wanted, "{values}: {process}: {pointer}");
            }
            for pointer in ["limits/memory", "requests/memory", "requests/cpu"] {
                let quantity = text(&pod, &format!("/spec/containers/0/resources/{pointer}"));
                assert!(!quantity.is_empty(), "{values}: {process}: {pointer}");
            }
            assert_eq!(list(&pod, "/spec/containers").len(), 1, "{values}: {process}");
        }
    }
    Ok(())
}

#[test]
fn every_role_is_a_deployment_with_separate_probes_and_a_budget() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        let deployments: BTreeMap<&str, &Value> =
            of_kind(&objects, "Deployment").map(|it| (component(it), it)).collect();
        assert_eq!(deployments.keys().copied().collect::<Vec<_>>(), ROLES, "{values}");
        for (role, deployment) in deployments {
            let probe = |kind: &str| {
                let get = at(deployment, &format!("/spec/template/spec/containers/0/{kind}/httpGet"));
                (text(get, "/path").to_owned(), text(get, "/port").to_owned())
            };
            assert_eq!(probe("livenessProbe"), ("/livez".into(), "ops".into()), "{values}: {role}");
            assert_eq!(probe("startupProbe"), ("/livez".into(), "ops".into()), "{values}: {role}");
            assert_eq!(probe("readinessProbe"), ("/readyz".into(), "ops".into()), "{values}: {role}");
            assert_eq!(*at(deployment, "/spec/template/spec/containers/0/args"), json!(["serve", "--role", role]));
            let budget = find(&objects, "PodDisruptionBudget", name(deployment));
            assert_eq!(budget.is_some(), values != "plain", "{values}: {role}");
            if let Some(budget) = budget {
                assert_eq!(at(budget, "/spec/selector"), at(deployment, "/spec/selector"), "{values}: {role}");
                assert_eq!(*at(budget, "/spec/maxUnavailable"), json!(1), "a drain goes on: {values}: {role}");
            }
        }
    }
    Ok(())
}

/// The pod is killed only after the sender has given up on its POSTs by itself.
#[test]
fn a_sender_may_finish_its_posts() -> Result<()> {
    for (grace, at_least) in [("25s", 40), ("90s", 105), ("2m", 135)] {
        let objects = objects("minimal", &[&format!("config.sender.grace={grace}")])?;
        let pods = pods(&objects);
        let seconds = at(&pods["sender"], "/spec/terminationGracePeriodSeconds").as_u64().context("a number")?;
        assert!(seconds >= at_least, "{grace}: {seconds} s");
        let data = find(&objects, "ConfigMap", "hooks-whimbrel").context("a ConfigMap")?;
        assert_eq!(text(data, "/data/WHIMBREL_SENDER__GRACE"), grace);
    }
    Ok(())
}

/// The variables that come out of Secrets, by process: the variable, the Secret, the key.
fn secrets(objects: &[Value]) -> BTreeMap<String, BTreeSet<(String, String, String)>> {
    let of = |pod: &Value| {
        let entries = list(pod, "/spec/containers/0/env").iter();
        let from_secret = entries.filter(|entry| entry.pointer("/valueFrom/secretKeyRef").is_some());
        let triple = |entry: &Value| {
            let part = |pointer| text(entry, pointer).to_owned();
            (part("/name"), part("/valueFrom/secretKeyRef/name"), part("/valueFrom/secretKeyRef/key"))
        };
        from_secret.map(triple).collect()
    };
    pods(objects).into_iter().map(|(process, pod)| (process, of(&pod))).collect()
}

fn names(entries: &BTreeSet<(String, String, String)>) -> Vec<&str> {
    entries.iter().map(|(name, ..)| name.trim_start_matches("WHIMBREL_")).collect()
}

#[test]
fn rule_24_each_process_gets_its_own_credentials_and_no_other() -> Result<()> {
    let found = secrets(&objects("production", &[])?);
    assert_eq!(names(&found["api"]), ["ADMIN_KEY", "AMQP_URL", "DATABASE_URL", "SECRETS__KEYS"]);
    assert_eq!(names(&found["ingest"]), ["AMQP_URL", "DATABASE_URL", "SECRETS__KEYS"]);
    assert_eq!(names(&found["sender"]), ["AMQP_URL", "DATABASE_URL", "EGRESS__PROXY", "SECRETS__KEYS"]);
    assert_eq!(names(&found["tracker"]), ["AMQP_URL", "DATABASE_URL", "SECRETS__KEYS"]);
    assert_eq!(names(&found["migrate"]), ["DATABASE_URL"]);
    assert_eq!(names(&found["prune"]), ["DATABASE_URL"]);
    assert_eq!(names(&found["topology"]), ["AMQP_URL"]);
    for (process, entries) in &found {
        for (variable, _, key) in entries {
            match (variable.as_str(), process.as_str()) {
                ("WHIMBREL_AMQP_URL", role) => assert_eq!(*key, format!("amqp-url-{role}")),
                ("WHIMBREL_DATABASE_URL", "migrate" | "prune") => assert_eq!(key, "owner-database-url"),
                ("WHIMBREL_DATABASE_URL", _) => assert_eq!(key, "database-url"),
                _ => {}
            }
        }
    }
    Ok(())
}

#[test]
fn with_operators_the_credentials_are_theirs() -> Result<()> {
    let objects = objects("operators", &[])?;
    let users: BTreeSet<String> =
        of_kind(&objects, "User").map(|user| format!("{}-user-credentials", name(user))).collect();
    for (process, entries) in secrets(&objects) {
        for (variable, secret, key) in entries {
            match variable.as_str() {
                "RABBITMQ_USERNAME" | "RABBITMQ_PASSWORD" => {
                    assert_eq!(secret, format!("hooks-whimbrel-{process}-user-credentials"));
                    assert!(users.contains(&secret), "{secret}");
                }
                "RABBITMQ_REDRIVE_USERNAME" | "RABBITMQ_REDRIVE_PASSWORD" => {
                    assert_eq!(
                        (process.as_str(), secret.as_str()),
                        ("tracker", "hooks-whimbrel-redrive-user-credentials")
                    );
                    assert!(users.contains(&secret), "{secret}");
                }
                "WHIMBREL_DATABASE_URL" => {
                    assert_eq!((secret.as_str(), key.as_str()), ("hooks-whimbrel-postgresql-app", "uri"));
                }
                _ => assert_eq!(secret, "hooks-whimbrel", "{variable}"),
            }
        }
    }
    Ok(())
}

/// Whatever an object names in its own namespace is in the release, or named in the values.
#[test]
fn what_is_named_exists() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        let exists = |kind: &str, wanted: &str| find(&objects, kind, wanted).is_some();
        for (process, pod) in pods(&objects) {
            let account = text(&pod, "/spec/serviceAccountName");
            ensure!(exists("ServiceAccount", account) || account == "shared", "{values}: {process}: {account}");
            ensure!(
                exists("ConfigMap", text(&pod, "/spec/containers/0/envFrom/0/configMapRef/name")),
                "{values}: {process}"
            );
            let volumes: BTreeMap<&str, &str> = list(&pod, "/spec/volumes")
                .iter()
                .map(|volume| (text(volume, "/name"), text(volume, "/configMap/name")))
                .collect();
            for mount in list(&pod, "/spec/containers/0/volumeMounts") {
                let map = volumes.get(text(mount, "/name")).and_then(|map| find(&objects, "ConfigMap", map));
                let key = text(mount, "/subPath");
                ensure!(map.is_some_and(|map| map["data"].get(key).is_some()), "{values}: {process}: {key}");
            }
        }
        for (process, entries) in secrets(&objects) {
            for (variable, secret, key) in entries {
                let optional = ["WHIMBREL_ADMIN_KEY", "WHIMBREL_EGRESS__PROXY"].contains(&variable.as_str());
                if let Some(own) = find(&objects, "Secret", &secret)
                    && !optional
                {
                    ensure!(own["stringData"].get(&key).is_some(), "{values}: {process}: {key} of {secret}");
                }
            }
        }
        for kind in ["ScaledObject", "HorizontalPodAutoscaler"] {
            for scaler in of_kind(&objects, kind) {
                ensure!(exists("Deployment", text(scaler, "/spec/scaleTargetRef/name")), "{values}: {}", name(scaler));
            }
        }
    }
    Ok(())
}

/// A contract and its samples lie where the binary looks, as plain files.
#[test]
fn contracts_are_mounted_file_by_file() -> Result<()> {
    let objects = objects("production", &[])?;
    for (process, pod) in pods(&objects) {
        let mounts: BTreeSet<&str> =
            list(&pod, "/spec/containers/0/volumeMounts").iter().map(|mount| text(mount, "/mountPath")).collect();
        let wanted = ["/etc/whimbrel/contracts/acme.toml", "/etc/whimbrel/contracts/samples/acme/order.created.json"];
        assert_eq!(mounts, wanted.into(), "{process}");
    }
    let map = find(&objects, "ConfigMap", "hooks-whimbrel-contracts").context("the contracts")?;
    let contract = text(map, "/data/acme.toml");
    assert!(contract.contains("name = \"acme\"\n  [body]\n"), "{contract}");
    Ok(())
}
