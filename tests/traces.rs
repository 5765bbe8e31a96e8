//! Traces: an upstream's trace goes on through every role, and what fails is exported whatever the sampler said.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use serde_json::json;
use whimbrel_testkit::receiver::{Receiver, Request, Step};

use crate::harness::{Kind, SOON, System, on_both_engines, text};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const UPSTREAM: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Takes spans by OTLP over HTTP.
struct Collector(Receiver);

/// A span as it was exported.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    role: String,
    name: String,
    trace: String,
    id: String,
    /// Empty for a root.
    parent: String,
    kind: SpanKind,
    /// The ids of the spans that it is linked to.
    links: Vec<String>,
    failed: bool,
    attributes: HashMap<String, String>,
}

impl Collector {
    async fn start() -> Result<Self> {
        Ok(Self(Receiver::start().await?))
    }

    /// The variables that have a process export here, soon after a span is over.
    fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.0.url("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=whimbrel".to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        ]
    }

    /// The spans of the trace, by their beginning, once there are so many.
    async fn spans(&self, count: usize) -> Result<Vec<Span>> {
        let requests = self.0.wait_until(|requests| of_trace(requests).len() >= count, SOON).await;
        let requests = requests.with_context(|| format!("instead of {count}: {:#?}", of_trace(&self.0.requests())))?;
        for request in &requests {
            ensure!(request.path() == "/v1/traces" && request.header("x-tenant") == Some("whimbrel"), "{request:?}");
        }
        Ok(of_trace(&requests))
    }

    /// All there are, of processes that have ended.
    fn all(&self) -> Vec<Span> {
        of_trace(&self.0.requests())
    }
}

impl Span {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn assert(&self, attributes: &[(&str, &str)]) {
        for (name, value) in attributes {
            assert_eq!(self.attribute(name), *value, "{name} of {self:#?}");
        }
    }
}

fn of_trace(requests: &[Arc<Request>]) -> Vec<Span> {
    let mut spans: Vec<(u64, Span)> = requests.iter().flat_map(|request| decode(&request.body)).collect();
    spans.retain(|(_, span)| span.trace == TRACE);
    spans.sort_by_key(|(began, _)| *began);
    spans.into_iter().map(|(_, span)| span).collect()
}

fn decode(body: &bytes::Bytes) -> Vec<(u64, Span)> {
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("the body is OTLP");
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
        for of_scope in of_resource.scope_spans {
            let role = of_scope.scope.unwrap_or_default().name;
            for span in of_scope.spans {
                let read = Span {
                    service: resource.get("service.name").cloned().unwrap_or_default(),
                    role: role.clone(),
                    trace: HEXLOWER.encode(&span.trace_id),
                    id: HEXLOWER.encode(&span.span_id),
                    parent: HEXLOWER.encode(&span.parent_span_id),
                    kind: span.kind(),
                    links: span.links.iter().map(|link| HEXLOWER.encode(&link.span_id)).collect(),
                    failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
                    attributes: attributes(span.attributes),
                    name: span.name,
                };
                spans.push((span.start_time_unix_nano, read));
            }
        }
    }
    spans
}

fn attributes(list: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let read = |entry: KeyValue| (entry.key, entry.value.and_then(|value| value.value).map(text).unwrap_or_default());
    list.into_iter().map(read).collect()
}

/// A receiver that fails once.
async fn failing_once() -> Result<Receiver> {
    let receiver = Receiver::start().await?;
    receiver.otherwise([Step::status(500), Step::status(200)]);
    Ok(receiver)
}

async fn start(kind: Kind, collector: &Collector, more: &[(&str, &str)]) -> Result<System> {
    let variables = collector.variables();
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<_> = variables.chain([("WHIMBREL_RETRY_SCALE", "0.02")]).chain(more.iter().copied()).collect();
    System::with(kind, &all).await
}

/// Publishes over HTTP as an upstream service within a trace; gives the event's id.
async fn publish(system: &System, traceparent: &str) -> Result<String> {
    let client = whimbrel_testkit::http::client();
    let request = client.post(format!("{}/v1/events", system.api.base)).bearer_auth(&system.api.key);
    let request = request.header("traceparent", traceparent).json(&json!({"type": "order.created", "data": {}}));
    text(&request.send().await?.error_for_status()?.json().await?, "id")
}

/// The name of the service whose role this is.
fn service(kind: Kind, role: &str) -> String {
    match kind {
        Kind::Embedded => "whimbrel".to_owned(),
        Kind::Distributed => format!("whimbrel-{role}"),
    }
}

fn messaging(kind: Kind) -> &'static str {
    match kind {
        Kind::Embedded => "sqlite",
        Kind::Distributed => "rabbitmq",
    }
}

/// Holds the spans from intake to the second outcome against the story they must tell.
fn assert_story(kind: Kind, spans: &[Span], parent: &str, receiver: &Receiver) {
    let [intake, first, settled, retry, settled_retry] = spans else { panic!("{spans:#?}") };
    let system = messaging(kind);

    assert_eq!((intake.name.as_str(), intake.kind), ("process whimbrel.events", SpanKind::Consumer));
    assert_eq!((intake.role.as_str(), &intake.service), ("whimbrel.ingest", &service(kind, "ingest")));
    assert_eq!((intake.parent.as_str(), intake.links.len(), intake.failed), (parent, 0, false));
    intake.assert(&[
        ("messaging.system", system),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "whimbrel.events"),
        ("whimbrel.event.kind", "order.created"),
        ("whimbrel.tenant.id", "default"),
        ("whimbrel.deliveries", "1"),
    ]);

    let port = receiver.address().port().to_string();
    for (number, attempt) in [("1", first), ("2", retry)] {
        assert_eq!((attempt.name.as_str(), attempt.kind), ("POST", SpanKind::Client));
        assert_eq!((attempt.role.as_str(), &attempt.service), ("whimbrel.sender", &service(kind, "sender")));
        assert_eq!(attempt.parent, intake.id, "both attempts belong to the event");
        attempt.assert(&[
            ("http.request.method", "POST"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
            ("url.scheme", "http"),
            ("messaging.system", system),
            ("messaging.destination.name", "whimbrel.jobs"),
            ("whimbrel.event.id", intake.attribute("whimbrel.event.id")),
            ("whimbrel.contract", "standard"),
            ("whimbrel.attempt", number),
        ]);
        assert!(attempt.attributes.values().all(|value| !value.contains("s3cret")), "{attempt:#?}");
    }
    first.assert(&[
        ("http.response.status_code", "500"),
        ("error.type", "500"),
        ("whimbrel.lane", "live"),
        ("http.request.resend_count", ""),
    ]);
    retry.assert(&[
        ("http.response.status_code", "200"),
        ("error.type", ""),
        ("whimbrel.lane", "slow"),
        ("http.request.resend_count", "1"),
    ]);
    assert_eq!((first.failed, first.links.len()), (true, 0));
    assert_eq!((retry.failed, &retry.links), (false, &vec![first.id.clone()]), "a retry links to what it repeats");

    for (attempt, outcome, state) in [(first, settled, "retrying"), (retry, settled_retry, "succeeded")] {
        assert_eq!((outcome.name.as_str(), outcome.kind), ("process whimbrel.outcomes", SpanKind::Consumer));
        assert_eq!((outcome.role.as_str(), &outcome.service), ("whimbrel.tracker", &service(kind, "tracker")));
        assert_eq!((&outcome.parent, outcome.links.len(), outcome.failed), (&attempt.id, 0, false));
        outcome.assert(&[
            ("messaging.system", system),
            ("messaging.destination.name", "whimbrel.outcomes"),
            ("whimbrel.delivery.id", attempt.attribute("whimbrel.delivery.id")),
            ("whimbrel.delivery.state", state),
        ]);
    }
}

on_both_engines! {
    /// One event, one retry: six spans of one trace, over all roles.
    async fn a_trace_goes_on_through_all_roles(kind: Kind) {
        let (collector, receiver) = (Collector::start().await?, failing_once().await?);
        let system = start(kind, &collector, &[("WHIMBREL_SENDER__TRACEPARENT", "true")]).await?;
        system.api.create_webhook(&receiver.url("/s3cret?key=s3cret"), &["*"]).await?;
        let event = publish(&system, TRACEPARENT).await?;
        system.api.settled(&event, "success").await?;
        let spans = collector.spans(6).await?;
        let [request, rest @ ..] = spans.as_slice() else { panic!("{spans:#?}") };
        assert_eq!((request.name.as_str(), request.kind), ("POST /v1/events", SpanKind::Server));
        assert_eq!((request.role.as_str(), &request.service), ("whimbrel.api", &service(kind, "api")));
        assert_eq!((request.parent.as_str(), request.failed), (UPSTREAM, false));
        request.assert(&[
            ("http.request.method", "POST"),
            ("http.route", "/v1/events"),
            ("url.path", "/v1/events"),
            ("http.response.status_code", "202"),
        ]);
        assert_story(kind, rest, &request.id, &receiver);
        assert_eq!(rest[0].attribute("whimbrel.event.id"), event);
        let told: Vec<_> = receiver.requests().iter().map(|r| r.header("traceparent").unwrap_or_default().to_owned()).collect();
        let attempts = [&rest[1], &rest[3]].map(|attempt| format!("00-{TRACE}-{}-01", attempt.id));
        assert_eq!(told, attempts, "receivers can go on from the attempt");
    }

    /// A failure is exported, what follows from it, and nothing else.
    async fn failures_are_exported_with_the_sampler_off(kind: Kind) {
        let (collector, receiver) = (Collector::start().await?, failing_once().await?);
        let system = start(kind, &collector, &[("OTEL_TRACES_SAMPLER", "always_off")]).await?;
        system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let event = publish(&system, TRACEPARENT).await?;
        system.api.settled(&event, "success").await?;
        let successful = publish(&system, TRACEPARENT).await?;
        system.api.settled(&successful, "success").await?;
        system.stop().await?;
        let spans = collector.all();
        let [failed, settled, retry] = spans.as_slice() else { panic!("{spans:#?}") };
        assert_eq!((failed.name.as_str(), failed.failed), ("POST", true));
        failed.assert(&[("whimbrel.event.id", &event), ("error.type", "500")]);
        assert_eq!((settled.name.as_str(), &settled.parent), ("process whimbrel.outcomes", &failed.id));
        assert_eq!((retry.name.as_str(), &retry.links), ("POST", &vec![failed.id.clone()]));
        assert!(failed.parent != UPSTREAM && failed.parent == retry.parent, "of steps that were not exported");
    }

    /// Without the variables nothing is exported, and receivers see a trace only if they may.
    async fn receivers_get_a_traceparent_only_when_configured(kind: Kind) {
        for (configured, expected) in [("false", None), ("true", Some(TRACEPARENT))] {
            let receiver = Receiver::start().await?;
            let system = System::with(kind, &[("WHIMBREL_SENDER__TRACEPARENT", configured)]).await?;
            system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
            publish(&system, TRACEPARENT).await?;
            let requests = receiver.wait_for(1, SOON).await?;
            assert_eq!(requests[0].header("traceparent"), expected, "the upstream's own: there are no spans");
            assert_eq!(requests[0].header("tracestate"), None);
        }
    }
}

/// The same story over AMQP; and what is parked is exported, although its publisher's trace is not sampled.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_from_amqp() -> Result<()> {
    let (collector, receiver) = (Collector::start().await?, failing_once().await?);
    let system = start(Kind::Distributed, &collector, &[]).await?;
    system.api.create_webhook(&receiver.url("/s3cret"), &["*"]).await?;
    let publish = async |id: &str, traceparent: &str, body: &'static [u8]| {
        let headers = json!({"tenant": "default", "traceparent": traceparent});
        let properties =
            json!({"content_type": "application/json", "message_id": id, "type": "order.created", "headers": headers});
        system.servers.vhost().publish("whimbrel.events", "upstream", &properties, body).await
    };
    publish("one", TRACEPARENT, b"{}").await?;
    let spans = collector.spans(5).await?;
    assert_story(Kind::Distributed, &spans, UPSTREAM, &receiver);
    assert_eq!(spans[0].attribute("messaging.message.id"), "one");

    publish("two", &TRACEPARENT.replace("-01", "-00"), b"{").await?;
    let spans = collector.spans(6).await?;
    let parked = &spans[5];
    assert_eq!((parked.name.as_str(), parked.parent.as_str()), ("process whimbrel.events", UPSTREAM));
    parked.assert(&[("error.type", "not_json"), ("messaging.message.id", "two")]);
    assert!(parked.failed);
    Ok(())
}

/// Upstream that knows no traces: they begin at intake, in the share that the sampler has.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_begins_at_intake_for_who_has_none() -> Result<()> {
    let receiver = failing_once().await?;
    for (sampler, names) in [("always_on", "POST /v1/events"), ("always_off", "POST")] {
        let collector = Collector::start().await?;
        let system = start(Kind::Embedded, &collector, &[("OTEL_TRACES_SAMPLER", sampler)]).await?;
        system.api.create_webhook(&receiver.url("/"), &["*"]).await?;
        let event = system.api.publish("order.created", "{}").await?;
        system.api.settled(&event, "success").await?;
        system.stop().await?;
        let roots: Vec<_> = collector.0.requests().iter().flat_map(|request| decode(&request.body)).collect();
        let attempt = roots.iter().find(|(_, span)| span.attribute("whimbrel.attempt") == "1").context("an attempt")?;
        let whole: Vec<_> = roots.iter().filter(|(_, span)| span.trace == attempt.1.trace).collect();
        let root = whole.iter().find(|(_, span)| span.parent.is_empty()).context("a root")?;
        assert_eq!(root.1.name, names, "{whole:#?}");
        receiver.otherwise([Step::status(500), Step::status(200)]);
    }
    Ok(())
}
