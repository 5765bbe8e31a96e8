//! The OpenAPI 3.1 document, which follows from the handlers.

mod requests;

use axum::Router;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::PROBLEM_JSON;
use crate::state::SharedState;
use crate::{audit, deliveries, events, parking, replays, tenants, usage, webhooks};

/// What the document says besides the routes.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Whimbrel",
        description = "Delivers webhooks: events in, signed POSTs out, with retries and a log of every attempt. Times are RFC 3339 in UTC. Errors are problem documents (RFC 9457)."
    ),
    components(schemas(crate::problem::ProblemBody)),
    tags(
        (name = "webhooks", description = "Where events go"),
        (name = "events", description = "What happened"),
        (name = "deliveries", description = "One event on its way to one webhook"),
        (name = "replays", description = "Many deliveries of one webhook brought back, a few at a time"),
        (name = "usage", description = "How much a tenant used"),
        (name = "audit", description = "Who changed what"),
        (name = "parking", description = "What could not be processed; an admin key only"),
        (name = "tenants", description = "Whose events and webhooks these are; an admin key only"),
    ),
    security(("key" = []))
)]
struct Document;

/// The document.
pub fn openapi() -> OpenApi {
    parts().1
}

/// The routes and their document.
pub(crate) fn parts() -> (Router<SharedState>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(webhooks::routes())
        .merge(events::routes())
        .merge(deliveries::routes())
        .merge(replays::routes())
        .merge(usage::routes())
        .merge(audit::routes())
        .merge(parking::routes())
        .merge(tenants::routes())
        .split_for_parts();
    Common.modify(&mut document);
    document.webhooks = Some(requests::webhooks());
    (router, document)
}

/// What every route has in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("whk_…");
        let scheme = SecurityScheme::Http(bearer.description(Some("An admin key, or a tenant's own key")).build());
        document.components.get_or_insert_default().add_security_scheme("key", scheme);
        for item in document.paths.paths.values_mut() {
            let with_body = [&mut item.post, &mut item.put, &mut item.patch].into_iter().flatten();
            with_body.for_each(|operation| add_problems(operation, &OF_BODIES));
            let read = [&mut item.get].into_iter();
            let changed = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter();
            read.chain(changed).flatten().for_each(complete);
        }
    }
}

/// Whatever a route does.
const OF_EVERYTHING: [(&str, &str); 5] = [
    ("400", "The request cannot be read"),
    ("401", "No valid API key"),
    ("403", "The key may not do this"),
    ("404", "No such thing"),
    ("503", "The store or the queue is away; Retry-After says when to try again"),
];

/// Where a body may come.
const OF_BODIES: [(&str, &str); 4] = [
    ("408", "The body did not arrive in time"),
    ("413", "The body is too large"),
    ("415", "Another content type is needed"),
    ("422", "A field is invalid"),
];

fn add_problems(operation: &mut Operation, problems: &[(&str, &str)]) {
    for (status, description) in problems {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(*description).content(PROBLEM_JSON, content).build();
        operation.responses.responses.entry((*status).to_owned()).or_insert(RefOr::T(response));
    }
}

fn complete(operation: &mut Operation) {
    add_problems(operation, &OF_EVERYTHING);
    let admin_only = operation
        .tags
        .as_ref()
        .is_some_and(|tags| tags.iter().any(|tag| [tenants::TAG, parking::TAG].contains(&tag.as_str())));
    if !admin_only {
        operation.parameters.get_or_insert_default().push(tenant_header().into());
    }
}

fn tenant_header() -> utoipa::openapi::path::Parameter {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[a-z0-9_-]{1,64}$")).build();
    ParameterBuilder::new()
        .name("Whimbrel-Tenant")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The tenant that an admin key acts for; `default` when absent"))
        .schema(Some(text))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed document. `cargo run -p whimbrel-api --example openapi > proto/openapi.json` makes it
    /// anew.
    const COMMITTED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/openapi.json"));

    #[test]
    fn generated_openapi_is_in_step() {
        let generated = openapi().to_pretty_json().expect("a document");
        assert!(
            generated.trim() == COMMITTED.trim(),
            "run: cargo run -p whimbrel-api --example openapi > proto/openapi.json"
        );
    }

    #[test]
    fn every_operation_is_described() {
        let document = serde_json::to_value(openapi()).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().expect("paths");
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("an item") {
                let summary = operation["summary"].as_str().unwrap_or_default();
                assert!(!summary.is_empty(), "{method} {path} has no summary");
                assert!(operation["responses"]["401"].is_object(), "{method} {path} does not know 401");
            }
        }
        assert_eq!(paths.len(), 31);
    }
}
