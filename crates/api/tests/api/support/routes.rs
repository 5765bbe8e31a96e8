//! Every route there is, read from the document.

use serde_json::Value;

/// Every method and address of the document, as written there.
pub(crate) fn template_routes() -> Vec<(String, String)> {
    let document = serde_json::to_value(whimbrel_api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// The same with ids that name nothing.
pub(crate) fn every_route() -> Vec<(String, String)> {
    let fill = |path: String| {
        let prefix = match path.split('/').nth(2) {
            Some("webhooks") => "hook_",
            Some("events") => "evt_",
            Some("deliveries") => "del_",
            Some("keys") => "key_",
            _ => "",
        };
        path.replace("{id}", &format!("{prefix}01jb3h2k9fe8yaw3cvj6s5n7qt"))
    };
    template_routes().into_iter().map(|(method, path)| (method, fill(path))).collect()
}
