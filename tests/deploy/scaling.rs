//! How many there are.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::objects::{at, component, find, of_kind, pods, text, variables};
use super::tools::{VALUES, objects, read};

/// KEDA's trigger on the broker.
fn trigger(scaler: &Value) -> &Value {
    at(scaler, "/spec/triggers/0/metadata")
}

#[test]
fn keda_counts_the_roles_queues_and_never_delays() -> Result<()> {
    let objects = objects("production", &[])?;
    for (role, pattern) in [
        ("ingest", r"^whimbrel\.events\.v[0-9]+$"),
        ("sender", r"^whimbrel\.jobs\..*"),
        ("tracker", r"^whimbrel\.outcomes\.v[0-9]+$"),
    ] {
        let scaler = of_kind(&objects, "ScaledObject").find(|scaler| component(scaler) == role).context(role)?;
        let trigger = trigger(scaler);
        assert_eq!(text(trigger, "/queueName"), pattern);
        assert_eq!(text(trigger, "/protocol"), "http");
        assert_eq!(text(trigger, "/useRegex"), "true");
        assert_eq!(text(trigger, "/operation"), "sum");
        assert!(at(scaler, "/spec/minReplicaCount").as_u64() >= Some(1), "retries and sweeps need a process");
    }
    Ok(())
}

/// What each pattern matches among the queues that there are: as a regular expression of few signs, by its fixed part.
#[test]
fn the_patterns_match_queues_that_there_are() -> Result<()> {
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")?)?;
    let queues: Vec<&str> =
        definitions["queues"].as_array().context("queues")?.iter().map(|queue| text(queue, "/name")).collect();
    for scaler in of_kind(&objects("production", &[])?, "ScaledObject") {
        let pattern = text(trigger(scaler), "/queueName").replace('\\', "");
        let fixed = pattern.trim_start_matches('^').trim_end_matches(".*").trim_end_matches("[0-9]+$");
        let matched: Vec<&&str> = queues.iter().filter(|queue| queue.starts_with(fixed)).collect();
        assert!(!matched.is_empty(), "{pattern}");
        assert!(matched.iter().all(|queue| !queue.contains(".delay.")), "{pattern}: {matched:?}");
        assert_eq!(matched.len(), if component(scaler) == "sender" { 3 } else { 1 }, "{pattern}: {matched:?}");
    }
    Ok(())
}

#[test]
fn a_scaled_deployment_leaves_its_replicas_to_the_scaler() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        for deployment in of_kind(&objects, "Deployment") {
            let wanted = super::objects::name(deployment);
            let scaled =
                ["ScaledObject", "HorizontalPodAutoscaler"].iter().any(|kind| find(&objects, kind, wanted).is_some());
            assert_eq!(at(deployment, "/spec/replicas").is_null(), scaled, "{values}: {wanted}");
        }
    }
    Ok(())
}

/// Each process counts for itself, so all together may have under way what the values say, and no more.
#[test]
fn totals_are_divided_by_the_most_senders_there_can_be() -> Result<()> {
    let shares = |values: &str| -> Result<_> {
        let objects = objects(values, &[])?;
        Ok(variables(&objects, &pods(&objects)["sender"]))
    };
    // Up to 24 by KEDA; 12 replays for 24 senders still leave one for each.
    let scaled = shares("production")?;
    assert_eq!(scaled["WHIMBREL_SENDER__LIVE_SLOTS"], "200");
    assert_eq!(scaled["WHIMBREL_SENDER__ENDPOINT_IN_FLIGHT"], "10");
    assert_eq!(scaled["WHIMBREL_SENDER__BULK_SLOTS"], "1");
    assert!(!scaled.contains_key("WHIMBREL_SENDER__SLOW_SLOTS"), "left to its default");
    assert_eq!(shares("scaled")?["WHIMBREL_SENDER__LIVE_SLOTS"], "500", "four fixed ones");
    Ok(())
}

/// KEDA logs in as a user that sees queues and no message, or by a URL of the Secret.
#[test]
fn keda_has_its_own_way_in() -> Result<()> {
    let with_operators = objects("operators", &[])?;
    let way = find(&with_operators, "TriggerAuthentication", "hooks-whimbrel-broker").context("it is there")?;
    assert_eq!(text(way, "/spec/secretTargetRef/0/name"), "hooks-whimbrel-keda-user-credentials");
    let scaler = find(&with_operators, "ScaledObject", "hooks-whimbrel-sender").context("it is there")?;
    assert_eq!(text(trigger(scaler), "/host"), "http://hooks-whimbrel-rabbitmq.webhooks.svc:15672/whimbrel");
    let with_secret = objects("production", &[])?;
    let way = find(&with_secret, "TriggerAuthentication", "hooks-whimbrel-broker").context("it is there")?;
    let host = json!([{"parameter": "host", "name": "whimbrel-credentials", "key": "management-url"}]);
    assert_eq!(*at(way, "/spec/secretTargetRef"), host);
    Ok(())
}
