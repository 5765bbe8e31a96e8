//! Resources for the operators of RabbitMQ and PostgreSQL, which no registry's package has schemas of.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use super::objects::{at, name, of_kind, text};
use super::tools::{documents, objects, read};
use super::valid::OPERATED;

type Fields = Map<String, Value>;

/// What a list of fields says of one: a type, or the type of a list's items.
fn has_type(value: &Value, documented: &Value) -> bool {
    match documented {
        Value::String(kind) => is_of_type(value, kind.trim_end_matches('!')),
        Value::Array(kinds) => {
            value.as_array().is_some_and(|items| items.iter().all(|item| kinds.iter().any(|kind| has_type(item, kind))))
        }
        _ => false,
    }
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "text" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "flag" => value.is_boolean(),
        "object" => value.is_object(),
        "texts" => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        "reference" => is_reference(value),
        words => value.as_str().is_some_and(|value| words.split(" | ").any(|word| word == value)),
    }
}

/// Either a cluster by its name or a Secret with a connection, as the operator's rule is.
fn is_reference(value: &Value) -> bool {
    let known = ["name", "namespace", "connectionSecret"];
    let named = value.get("name").is_some_and(Value::is_string);
    let connected = value.pointer("/connectionSecret/name").is_some_and(Value::is_string);
    named != connected && value.as_object().is_some_and(|map| map.keys().all(|key| known.contains(&key.as_str())))
}

/// Every leaf below `path` is documented and of its type.
fn check_fields(path: &str, value: &Value, fields: &Fields, seen: &mut BTreeSet<String>) -> Result<()> {
    if let Some(kind) = fields.get(path) {
        ensure!(has_type(value, kind), "{path} is {value}, not of the type {kind}");
        seen.insert(path.to_owned());
        return Ok(());
    }
    let inner = value.as_object().with_context(|| format!("{path} is not documented"))?;
    for (key, value) in inner {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        check_fields(&path, value, fields, seen)?;
    }
    Ok(())
}

fn documented() -> Result<Value> {
    Ok(documents(&read("tests/deploy/operators.yaml")?)?.remove(0))
}

fn check(object: &Value, documented: &Value) -> Result<()> {
    let kind = format!("{} {}", text(object, "/apiVersion"), text(object, "/kind"));
    let fields = documented.get(&kind).and_then(Value::as_object).with_context(|| format!("{kind} is not listed"))?;
    let mut seen = BTreeSet::new();
    check_fields("", at(object, "/spec"), fields, &mut seen).with_context(|| format!("{kind} {}", name(object)))?;
    let required = fields.iter().filter(|(_, kind)| kind.as_str().is_some_and(|kind| kind.ends_with('!')));
    for (field, _) in required {
        ensure!(seen.contains(field), "{kind} {} lacks {field}", name(object));
    }
    Ok(())
}

#[test]
fn operators_resources_have_documented_fields_only() -> Result<()> {
    let documented = documented()?;
    let mut kinds = BTreeSet::new();
    for values in ["operators", "plain"] {
        for object in objects(values, &[])? {
            if OPERATED.iter().any(|group| text(&object, "/apiVersion").starts_with(group)) {
                check(&object, &documented).context(values)?;
                kinds.insert(format!("{} {}", text(&object, "/apiVersion"), text(&object, "/kind")));
            }
        }
    }
    assert_eq!(kinds, documented.as_object().context("a map")?.keys().cloned().collect(), "each kind is in use");
    Ok(())
}

/// Null takes a field away.
#[test]
fn a_resource_with_an_unknown_wrong_or_missing_field_is_refused() -> Result<()> {
    let documented = documented()?;
    let objects = objects("operators", &[])?;
    for (kind, section, field, value) in [
        ("Queue", "/spec", "exclusive", json!(false)),
        ("Queue", "/spec", "durable", json!("true")),
        ("Binding", "/spec", "destinationType", json!("topic")),
        ("User", "/spec", "tags", json!(["monitor"])),
        ("RabbitmqCluster", "/spec", "nodes", json!(3)),
        // As CloudNativePG calls it, and the other way round.
        ("RabbitmqCluster", "/spec/persistence", "storageClass", json!("fast")),
        ("Cluster", "/spec/storage", "storageClassName", json!("fast")),
        ("Cluster", "/spec/postgresql/parameters", "max_connections", json!(300)),
        ("Cluster", "/spec", "instances", Value::Null),
    ] {
        let mut wrong = of_kind(&objects, kind).next().context(kind)?.clone();
        check(&wrong, &documented)?;
        let section = wrong.pointer_mut(section).and_then(Value::as_object_mut).context(section)?;
        section.insert(field.to_owned(), value.clone());
        section.retain(|_, value| !value.is_null());
        assert!(check(&wrong, &documented).is_err(), "{kind}: {field} {value} is let through");
    }
    Ok(())
}

/// The names of RabbitMQ's objects with what they are, without what only one of the two forms has.
fn by_name<'a>(all: impl Iterator<Item = &'a Value>, key: &str, fields: &[(&str, &str)]) -> BTreeMap<String, Value> {
    let reduced = |object: &Value| {
        let pick = |(field, as_field): &(&str, &str)| ((*as_field).to_owned(), at(object, field).clone());
        Value::Object(fields.iter().map(pick).collect())
    };
    all.map(|object| (text(object, key).to_owned(), reduced(object))).collect()
}

fn without_type(mut arguments: Value) -> Value {
    let is_empty = arguments.as_object_mut().is_some_and(|map| {
        map.remove("x-queue-type");
        map.is_empty()
    });
    if is_empty { Value::Null } else { arguments }
}

#[test]
fn rule_24_the_operators_users_may_do_what_the_definitions_say() -> Result<()> {
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")?)?;
    let objects = objects("operators", &[])?;
    let rights = |configure, write, read| [(configure, "configure"), (write, "write"), (read, "read")];
    let permissions = definitions["permissions"].as_array().context("permissions")?;
    let mut wanted = by_name(permissions.iter(), "/user", &rights("/configure", "/write", "/read"));
    wanted.insert("whimbrel-keda".into(), json!({"configure": "^$", "write": "^$", "read": "^$"}));
    let pointers = rights("/spec/permissions/configure", "/spec/permissions/write", "/spec/permissions/read");
    let found = by_name(of_kind(&objects, "Permission"), "/spec/userReference/name", &pointers);
    assert_eq!(
        found.into_iter().map(|(name, it)| (name.replacen("hooks-", "", 1), it)).collect::<BTreeMap<_, _>>(),
        wanted
    );
    for user in of_kind(&objects, "User") {
        let tags = at(user, "/spec/tags");
        let reads_depths = name(user) == "hooks-whimbrel-keda";
        assert_eq!(*tags, if reads_depths { json!(["monitoring"]) } else { Value::Null }, "{}", name(user));
    }
    Ok(())
}

#[test]
fn the_operators_topology_is_that_of_the_definitions() -> Result<()> {
    let definitions: Value = serde_json::from_str(&read("deploy/rabbitmq/definitions.json")?)?;
    let objects = objects("operators", &[])?;
    for (kind, list, key, fields) in [
        ("Exchange", "exchanges", "/name", &["type", "durable", "auto_delete", "arguments", "vhost"][..]),
        ("Queue", "queues", "/name", &["durable", "auto_delete", "arguments", "vhost"][..]),
        ("Binding", "bindings", "/destination", &["source", "routing_key", "destination_type", "vhost"][..]),
    ] {
        let pointers: Vec<(String, String)> =
            fields.iter().map(|field| (format!("/{field}"), format!("/spec/{}", camel(field)))).collect();
        let pairs = |of: fn(&(String, String)) -> &str| -> Vec<(&str, &str)> {
            pointers.iter().zip(fields).map(|(pair, field)| (of(pair), *field)).collect()
        };
        let listed = definitions[list].as_array().context(list)?;
        let clean = |mut map: BTreeMap<String, Value>| {
            for it in map.values_mut() {
                it["arguments"] = without_type(it["arguments"].take());
            }
            map
        };
        let wanted = clean(by_name(listed.iter(), key, &pairs(|pair| &pair.0)));
        let found = clean(by_name(of_kind(&objects, kind), &format!("/spec{key}"), &pairs(|pair| &pair.1)));
        assert_eq!(found, wanted, "{kind}");
        assert_eq!(of_kind(&objects, kind).count(), listed.len(), "{kind}");
    }
    assert!(of_kind(&objects, "Queue").all(|queue| text(queue, "/spec/type") == "quorum"));
    Ok(())
}

fn camel(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

/// Deleting a queue's resource deletes the queue with its messages; uninstalling must not.
#[test]
fn what_holds_data_outlives_the_release() -> Result<()> {
    for object in objects("operators", &[])? {
        let holds = ["RabbitmqCluster", "Vhost", "Queue", "Exchange", "Binding", "Cluster"];
        if holds.contains(&text(&object, "/kind")) {
            let policy = text(&object, "/metadata/annotations/helm.sh~1resource-policy");
            assert_eq!(policy, "keep", "{} {}", text(&object, "/kind"), name(&object));
        }
    }
    Ok(())
}
