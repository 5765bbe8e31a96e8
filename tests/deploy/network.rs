//! Who may talk to whom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::objects::{at, component, find, list, name, of_kind, pods, text};
use super::tools::{VALUES, objects};

fn policies(objects: &[Value]) -> BTreeMap<String, &Value> {
    of_kind(objects, "NetworkPolicy").map(|policy| (component(policy).to_owned(), policy)).collect()
}

/// Every peer that a policy lets out to.
fn peers(policy: &Value) -> impl Iterator<Item = &Value> {
    list(policy, "/spec/egress").iter().flat_map(|rule| list(rule, "/to"))
}

fn is_internet(peer: &Value) -> bool {
    ["0.0.0.0/0", "2000::/3", "::/0"].contains(&text(peer, "/ipBlock/cidr"))
}

#[test]
fn every_pod_has_a_policy_for_both_ways() -> Result<()> {
    for values in VALUES {
        let objects = objects(values, &[])?;
        let policies = policies(&objects);
        if values == "plain" {
            assert!(policies.is_empty());
            continue;
        }
        for (process, pod) in pods(&objects) {
            let policy = policies.get(&process).with_context(|| format!("{values}: {process}"))?;
            assert_eq!(*at(policy, "/spec/policyTypes"), json!(["Ingress", "Egress"]));
            for (label, value) in at(policy, "/spec/podSelector/matchLabels").as_object().context("labels")? {
                assert_eq!(pod["metadata"]["labels"].get(label), Some(value), "{values}: {process}: {label}");
            }
        }
    }
    Ok(())
}

#[test]
fn only_senders_reach_the_internet() -> Result<()> {
    for values in ["minimal", "production", "operators"] {
        let objects = objects(values, &[])?;
        for (process, policy) in policies(&objects) {
            let rules = list(policy, "/spec/egress");
            assert!(
                rules.iter().all(|rule| !list(rule, "/to").is_empty()),
                "{values}: {process}: a rule for everywhere"
            );
            assert_eq!(peers(policy).any(is_internet), process == "sender", "{values}: {process}");
        }
    }
    Ok(())
}

/// The same ranges that the sender refuses to connect to.
#[test]
fn senders_reach_no_private_address_but_those_allowed() -> Result<()> {
    let objects = objects("production", &[])?;
    let policies = policies(&objects);
    let v4 = peers(policies["sender"]).find(|peer| text(peer, "/ipBlock/cidr") == "0.0.0.0/0").context("v4")?;
    let except: BTreeSet<&str> = list(v4, "/ipBlock/except").iter().filter_map(Value::as_str).collect();
    for range in ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"] {
        assert!(except.contains(range), "{range}");
    }
    let allowed: Vec<&str> = peers(policies["sender"]).map(|peer| text(peer, "/ipBlock/cidr")).collect();
    assert!(allowed.contains(&"10.20.0.0/16") && allowed.contains(&"10.30.0.0/16"), "{allowed:?}");
    let rule = list(policies["sender"], "/spec/egress").iter().find(|rule| list(rule, "/to").iter().any(is_internet));
    let ports: Vec<&Value> = list(rule.context("a rule")?, "/ports").iter().map(|port| at(port, "/port")).collect();
    assert_eq!(ports, [&json!(443), &json!(80)]);
    Ok(())
}

#[test]
fn behind_a_proxy_senders_reach_nothing_else() -> Result<()> {
    let objects = objects("scaled", &[])?;
    for (process, policy) in policies(&objects) {
        assert!(!peers(policy).any(is_internet), "{process}");
    }
    let proxied = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "egress"}}});
    assert!(peers(policies(&objects)["sender"]).any(|peer| *peer == proxied));
    Ok(())
}

#[test]
fn the_api_answers_only_to_the_ingress_and_nobody_else_answers_at_all() -> Result<()> {
    let objects = objects("production", &[])?;
    for (process, policy) in policies(&objects) {
        let ports: Vec<&str> = list(policy, "/spec/ingress")
            .iter()
            .flat_map(|rule| list(rule, "/ports"))
            .map(|port| text(port, "/port"))
            .collect();
        let wanted: &[&str] = match process.as_str() {
            "api" => &["http", "ops"],
            "migrate" | "topology" | "prune" => &[],
            _ => &["ops"],
        };
        assert_eq!(ports, wanted, "{process}");
        for rule in list(policy, "/spec/ingress") {
            assert!(!list(rule, "/from").is_empty(), "{process}: everybody may");
        }
    }
    let service = find(&objects, "Service", "hooks-whimbrel").context("a Service")?;
    assert_eq!(text(service, "/spec/selector/app.kubernetes.io~1component"), "api");
    let ingress = of_kind(&objects, "Ingress").next().context("an Ingress")?;
    let backend = at(ingress, "/spec/rules/0/http/paths/0/backend/service");
    assert_eq!(text(backend, "/name"), name(service));
    assert_eq!(at(backend, "/port/name"), at(service, "/spec/ports/0/name"));
    Ok(())
}
