//! The requests that Whimbrel itself makes, as the document's `webhooks`: one per contract, with headers and bodies as
//! the code makes them.

use std::sync::Arc;

use bytes::Bytes;
use humantime::format_duration;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Content, ContentBuilder, Required, Response, Responses, ResponsesBuilder};
use whimbrel_core::contract::{
    BodyShape, CatalogueType, Contract, ContractSet, EnvelopeField, FieldSource, HeaderSource, OldSignature, Piece,
};
use whimbrel_core::render::render;
use whimbrel_core::secret::{Secret, SecretPair};
use whimbrel_core::signing::{Signed, Signer};
use whimbrel_core::{EventId, Timestamp};

/// When the sample events happen: 2026-01-15T12:00:00Z.
const HAPPENED: Timestamp = Timestamp::from_secs(1_768_478_400);
/// When the sample requests are made.
const SENT: Timestamp = Timestamp::from_secs(1_768_478_402);
/// What a contract without samples of its own sends.
const SAMPLE: (&str, &str) = ("user.created", r#"{"id":"user_123","name":"John Doe"}"#);

/// One entry per built-in contract.
pub(super) fn webhooks() -> Paths {
    let contracts = ContractSet::built_in();
    let entry = |paths: PathsBuilder, contract: &Arc<Contract>| paths.path(contract.name().as_str(), item(contract));
    contracts.iter().fold(PathsBuilder::new(), entry).build()
}

fn item(contract: &Arc<Contract>) -> PathItem {
    let sample = Sample::of(contract);
    let body = RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content(contract.headers().content_type(), content(contract, &sample))
        .build();
    let operation = OperationBuilder::new()
        .tag("webhooks")
        .operation_id(Some(format!("receive_{}", contract.name())))
        .summary(Some(format!("An event, under the contract `{}`", contract.name())))
        .description(Some(description(contract)))
        .parameters(Some(parameters(contract, &sample)))
        .request_body(Some(body))
        .responses(responses(contract))
        .securities(Some(Vec::new()))
        .build();
    PathItem::new(HttpMethod::Post, operation)
}

/// An event as it goes out.
struct Sample {
    event_type: String,
    body: Bytes,
    headers: Vec<(String, String)>,
}

impl Sample {
    fn of(contract: &Arc<Contract>) -> Self {
        let of_catalogue = |entry: &CatalogueType| Some((entry.name.to_string(), entry.example.clone()?.to_string()));
        let (event_type, data) = contract
            .catalogue()
            .types
            .iter()
            .find_map(of_catalogue)
            .unwrap_or_else(|| (SAMPLE.0.to_owned(), SAMPLE.1.to_owned()));
        let id = EventId::of_cause(HAPPENED, "the document's sample").to_string();
        let body = render(contract, &id, &event_type, HAPPENED, &data.into())
            .expect("every contract can send its sample")
            .body;
        let secret = |byte: u8| Secret::generate(contract, &mut |bytes| bytes.fill(byte));
        let secrets =
            SecretPair { previous: Some((secret(1), Timestamp::from_micros(i64::MAX))), ..SecretPair::new(secret(2)) };
        let signer = Signer::new(contract, &secrets).expect("a generated secret has its contract's form");
        let message =
            Signed { event_id: &id, event_type: &event_type, event_at: HAPPENED, attempt_at: SENT, body: &body };
        let headers = signer.headers(&message).into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
        let headers = headers.collect();
        Self { event_type, body, headers }
    }
}

fn description(contract: &Contract) -> String {
    let delays: Vec<String> =
        contract.retry().delays().iter().map(|delay| format_duration(*delay).to_string()).collect();
    format!(
        "{}. Sent to every webhook of a tenant with this contract that subscribes to the event's type. Any 2xx within \
         {} is success; redirects are not followed. What fails is sent again after {}.",
        contract.description(),
        format_duration(contract.timeout()),
        delays.join(", "),
    )
}

/// The headers that the signer makes, with what they hold. `Content-Type` is the body's to say.
fn parameters(contract: &Contract, sample: &Sample) -> Vec<Parameter> {
    let headers = sample.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let parameter = |(name, value): &(String, String)| {
        let required = if is_old_signature(contract, name) { Required::False } else { Required::True };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(required)
            .description(Some(meaning(contract, name)))
            .schema(Some(Object::with_type(Type::String)))
            .example(Some(value.as_str().into()))
            .build()
    };
    headers.map(parameter).collect()
}

fn is_old_signature(contract: &Contract, name: &str) -> bool {
    *contract.rotation().old() == OldSignature::Header(name.to_owned())
}

fn meaning(contract: &Contract, name: &str) -> String {
    let signature = contract.signature();
    if name == signature.header() {
        let also = match contract.rotation().old() {
            OldSignature::SameHeader => {
                "; while a secret is being rotated, one signature per secret, the new one first"
            }
            OldSignature::Header(_) => "",
        };
        return format!("HMAC-SHA256 with the webhook's secret over `{}`{also}", signed_content(signature.content()));
    }
    if is_old_signature(contract, name) {
        return "The same with the old secret, while a secret is being rotated".to_owned();
    }
    let field = contract.headers().fields().iter().find(|field| field.name == name);
    let words = match field.map(|field| &field.value) {
        Some(HeaderSource::EventId) => "The event's id: the same on every attempt, to recognise repeats by",
        Some(HeaderSource::EventType) => "The event's type",
        Some(HeaderSource::EventTimestampUnix) => "When the event happened, in Unix seconds",
        Some(HeaderSource::AttemptTimestampUnix) => "When this attempt was made, in Unix seconds",
        Some(HeaderSource::Literal(_)) | None => "Always this",
    };
    words.to_owned()
}

fn signed_content(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Id => "{event id}".to_owned(),
        Piece::Timestamp => "{timestamp of the attempt}".to_owned(),
        Piece::Body => "{body}".to_owned(),
    };
    pieces.iter().map(piece).collect()
}

fn content(contract: &Contract, sample: &Sample) -> Content {
    let schema = match contract.body().shape() {
        BodyShape::Bare => data("The event's data, as it was published").build(),
        BodyShape::Envelope(fields) => envelope(fields),
    };
    let value = serde_json::from_slice(&sample.body).expect("a rendered body is JSON");
    let example = ExampleBuilder::new().value(Some(value)).build();
    ContentBuilder::new().schema(Some(schema)).examples_from_iter([(sample.event_type.as_str(), example)]).build()
}

fn envelope(fields: &[EnvelopeField]) -> Object {
    let text = |words: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(words));
    let property = |field: &EnvelopeField| match field.value {
        FieldSource::EventId => text("The event's id"),
        FieldSource::EventType => text("The event's type"),
        FieldSource::EventTimeRfc3339 => {
            text("When the event happened").format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        }
        FieldSource::Data => data("What was published"),
    };
    let add = |object: ObjectBuilder, field: &EnvelopeField| {
        object.property(&field.name, property(field)).required(&field.name)
    };
    fields.iter().fold(ObjectBuilder::new().schema_type(Type::Object), add).build()
}

/// Any JSON.
fn data(words: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(words))
}

fn responses(contract: &Contract) -> Responses {
    let suspension = contract.suspension();
    let gone = "Gone for good: the webhook is suspended at once, nothing is sent again";
    let throttled = "Too much: sent again later, and the webhook's other deliveries wait too";
    let gone = suspension.gone_statuses.iter().map(|status| (status.to_string(), gone.to_owned()));
    let throttled = suspension.throttle_statuses.iter().map(|status| (status.to_string(), throttled.to_owned()));
    let received = ("2XX".to_owned(), "Received; the delivery has succeeded".to_owned());
    let other = ("default".to_owned(), not_received(contract));
    let all = [received, other].into_iter().chain(gone).chain(throttled);
    ResponsesBuilder::new().responses_from_iter(all.map(|(status, words)| (status, Response::new(words)))).build()
}

fn not_received(contract: &Contract) -> String {
    let attempts = contract.retry().delays().len() + 1;
    let obeyed = contract.retry().retry_after_max();
    let obeyed = obeyed.map(|max| format!("; a longer Retry-After is obeyed up to {}", format_duration(max)));
    format!("Not received: sent again, up to {attempts} attempts in all{}", obeyed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        serde_json::to_value(webhooks()).expect("JSON")
    }

    #[test]
    fn every_contract_has_an_entry_with_its_headers_and_answers() {
        let document = document();
        for contract in &ContractSet::built_in() {
            let post = &document[contract.name().as_str()]["post"];
            let names: Vec<&str> =
                post["parameters"].as_array().expect("headers").iter().filter_map(|p| p["name"].as_str()).collect();
            assert!(names.contains(&contract.signature().header()), "{names:?}");
            for field in contract.headers().fields() {
                assert!(names.contains(&field.name.as_str()), "{names:?}");
            }
            assert!(post["responses"]["2XX"].is_object() && post["responses"]["default"].is_object());
            for status in &contract.suspension().gone_statuses {
                assert!(post["responses"][status.to_string()].is_object(), "{} {status}", contract.name());
            }
        }
    }

    #[test]
    fn an_old_secrets_own_header_is_optional() {
        let document = document();
        let parameters = document["generic"]["post"]["parameters"].as_array().expect("headers");
        let required = |name: &str| parameters.iter().find(|p| p["name"] == name).map(|p| p["required"].clone());
        assert_eq!(required("X-Webhook-Signature"), Some(json!(true)));
        assert_eq!(required("X-Webhook-Signature-Previous"), Some(json!(false)));
    }

    #[test]
    fn the_bodies_are_those_that_are_sent() {
        let document = document();
        let content = |contract: &str| document[contract]["post"]["requestBody"]["content"]["application/json"].clone();
        assert_eq!(content("generic")["schema"]["required"], json!(["id", "type", "created_at", "data"]));
        assert_eq!(content("standard")["examples"]["user.created"]["value"]["timestamp"], "2026-01-15T12:00:00Z");
        assert!(content("bitbybit")["schema"].get("properties").is_none(), "nothing stands around the data");
    }
}
