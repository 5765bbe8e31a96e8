//! Every route there is, read from the document.

use serde_json::{Map, Value, json};

/// A route as the document has it.
pub(crate) struct Route {
    pub(crate) method: String,
    /// With its parameter in braces.
    pub(crate) template: String,
    /// The smallest body that its schema allows, or an empty object.
    pub(crate) body: Value,
}

impl Route {
    /// What kind of thing an id in the address names: `webhooks`, `events`, …
    pub(crate) fn collection(&self) -> &str {
        self.template.split('/').nth(2).unwrap_or_default()
    }

    /// Whether the address names a thing by an id that is unique among all tenants.
    pub(crate) fn has_id(&self) -> bool {
        self.template.contains("{id}")
    }

    /// The address with this in the place of its parameter.
    pub(crate) fn path(&self, named: &str) -> String {
        self.template.replace("{id}", named).replace("{type}", named)
    }
}

/// Every route of the document.
pub(crate) fn routes() -> Vec<Route> {
    let document = serde_json::to_value(whimbrel_api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(template, item): (&String, &Value)| {
        let of_method = |(method, operation): (&String, &Value)| Route {
            method: method.to_uppercase(),
            template: template.clone(),
            body: body(&document, operation),
        };
        item.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The same as method and address, with ids that name nothing.
pub(crate) fn every_route() -> Vec<(String, String)> {
    let fill = |route: Route| {
        let id = "01jb3h2k9fe8yaw3cvj6s5n7qt";
        let named = match route.collection() {
            "webhooks" => format!("hook_{id}"),
            "events" => format!("evt_{id}"),
            "deliveries" => format!("del_{id}"),
            "replays" => format!("rpl_{id}"),
            "keys" => format!("key_{id}"),
            "parking" => format!("prk_{id}"),
            _ => "nothing".to_owned(),
        };
        let path = route.path(&named);
        (route.method, path)
    };
    routes().into_iter().map(fill).collect()
}

fn body(document: &Value, operation: &Value) -> Value {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() { json!({}) } else { smallest(document, schema) }
}

/// The smallest value of a schema: required fields only, examples where there are any.
fn smallest(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return smallest(document, document.pointer(&reference[1..]).expect("what is referred to exists"));
    }
    if let Some(example) = schema.get("example").or_else(|| schema["enum"].get(0)) {
        return example.clone();
    }
    let first = ["oneOf", "anyOf", "allOf"].iter().find_map(|word| schema[word].get(0));
    if let Some(first) = first {
        return smallest(document, first);
    }
    match schema["type"].as_str() {
        Some("object") => object(document, schema),
        Some("array") => json!([smallest(document, &schema["items"])]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-15T00:00:00Z"),
        _ => json!("text"),
    }
}

fn object(document: &Value, schema: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let field = |name: Value| {
        let name = name.as_str().unwrap().to_owned();
        let value = smallest(document, &schema["properties"][&name]);
        (name, value)
    };
    required.into_iter().map(field).collect::<Map<_, _>>().into()
}
