//! Reading Kubernetes' objects.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is at a JSON pointer; null when nothing is.
pub(super) fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// The text at a JSON pointer; empty when there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    at(object, pointer).as_str().unwrap_or_default()
}

/// The list at a JSON pointer; empty when there is none.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    at(object, pointer).as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// All of a kind.
pub(super) fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| text(object, "/kind") == kind)
}

/// The one of this kind and name.
pub(super) fn find<'a>(objects: &'a [Value], kind: &str, wanted: &str) -> Option<&'a Value> {
    objects.iter().find(|object| text(object, "/kind") == kind && name(object) == wanted)
}

/// Which process it is or is for: api, ingest, sender, tracker, migrate, topology, prune.
pub(super) fn component(object: &Value) -> &str {
    text(object, "/metadata/labels/app.kubernetes.io~1component")
}

/// Every pod that would run, by what it runs: the template with its `metadata` and `spec`.
pub(super) fn pods(objects: &[Value]) -> BTreeMap<String, Value> {
    let template = |object: &Value| match text(object, "/kind") {
        "Deployment" | "Job" => Some(at(object, "/spec/template").clone()),
        "CronJob" => Some(at(object, "/spec/jobTemplate/spec/template").clone()),
        _ => None,
    };
    objects.iter().filter_map(template).map(|pod| (component(&pod).to_owned(), pod)).collect()
}

/// The variables of a pod, in the order that Kubernetes gives them: of its ConfigMap, then its own.
pub(super) fn variables(objects: &[Value], pod: &Value) -> BTreeMap<String, String> {
    let map = text(pod, "/spec/containers/0/envFrom/0/configMapRef/name");
    let data = find(objects, "ConfigMap", map).and_then(|map| map.get("data")?.as_object());
    let mut all: BTreeMap<String, String> = data
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    for entry in list(pod, "/spec/containers/0/env") {
        all.insert(text(entry, "/name").to_owned(), text(entry, "/value").to_owned());
    }
    all
}
