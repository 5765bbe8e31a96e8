//! The way of spans to the collector: sampler, buffer, exporter; settings are the standard `OTEL_` variables.

use std::sync::OnceLock;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceId};
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanExporter, SpanLinks,
    SpanProcessor,
};

use crate::span::{Record, Span, system_time};
use crate::{Service, TelemetryError};

static PIPELINE: OnceLock<Pipeline> = OnceLock::new();

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Pipeline {
    sampler: Box<dyn ShouldSample>,
    processor: BatchSpanProcessor,
    messaging_system: &'static str,
}

/// The process's own, if it exports spans.
pub(crate) fn get() -> Option<&'static Pipeline> {
    PIPELINE.get()
}

/// Whether this process exports spans.
pub fn exports_spans() -> bool {
    get().is_some()
}

/// What carries messages, for the attribute `messaging.system`; empty when no spans are exported.
pub fn messaging_system() -> &'static str {
    get().map_or("", |pipeline| pipeline.messaging_system)
}

/// Installs the process's own when the variables name a collector; says whether they do.
pub(crate) fn install(service: &Service) -> Result<bool, TelemetryError> {
    if !is_wanted()? {
        return Ok(false);
    }
    let pipeline = Pipeline::new(exporter()?, &resource(&service.name), service.messaging_system);
    PIPELINE.set(pipeline).map_err(|_| TelemetryError::Installed)?;
    Ok(true)
}

/// One exporter, by the variables.
pub(crate) fn exporter() -> Result<opentelemetry_otlp::SpanExporter, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build();
    exporter.map_err(|error| TelemetryError::Exporter(error.to_string()))
}

/// Whether the variables name a collector.
pub(crate) fn is_wanted() -> Result<bool, TelemetryError> {
    let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = text("OTEL_EXPORTER_OTLP_ENDPOINT").or_else(|| text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
    if endpoint.is_none() || text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    match text("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some(other) => {
            Err(TelemetryError::Exporter(format!("OTEL_TRACES_EXPORTER is `{other}`; there are `otlp` and `none`")))
        }
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, and what they leave open.
pub(crate) fn resource(name: &str) -> Resource {
    let given = Resource::builder().build();
    let has = |key: &str| given.iter().any(|(known, value)| known.as_str() == key && !is_unknown(&value.as_str()));
    let mut builder = Resource::builder();
    if !has("service.name") {
        builder = builder.with_service_name(name.to_owned());
    }
    if !has("service.version") {
        builder = builder.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    builder.build()
}

/// The SDK's own word for a service without a name.
fn is_unknown(name: &str) -> bool {
    name.starts_with("unknown_service")
}

impl Pipeline {
    pub(crate) fn new(
        exporter: impl SpanExporter + 'static,
        resource: &Resource,
        messaging_system: &'static str,
    ) -> Self {
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(resource);
        // The SDK's own reading of OTEL_TRACES_SAMPLER and its argument.
        Self { sampler: Config::default().sampler, processor, messaging_system }
    }

    /// What the sampler says. The standard ones look at nothing but the parent and the trace's id.
    pub(crate) fn samples(&self, parent: Option<&SpanContext>, trace: TraceId) -> bool {
        let around = parent.map(|parent| Context::new().with_remote_span_context(parent.clone()));
        let result = self.sampler.should_sample(around.as_ref(), trace, "", &SpanKind::Internal, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    pub(crate) fn write(&self, span: Span, record: Record) {
        let mut links = SpanLinks::default();
        links.links.extend(span.links.into_iter().map(Link::with_context));
        let scope = InstrumentationScope::builder(record.scope).with_version(env!("CARGO_PKG_VERSION")).build();
        self.processor.on_end(SpanData {
            span_context: span.context,
            parent_span_id: span.parent.as_ref().map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: span.parent.as_ref().is_some_and(SpanContext::is_remote),
            span_kind: record.kind,
            name: record.name,
            start_time: system_time(record.started),
            end_time: system_time(record.ended.max(record.started)),
            attributes: record.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: record.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope,
        });
    }

    /// Sends what is buffered. Blocks for up to the exporter's timeout.
    pub(crate) fn shutdown(&self) {
        if let Err(error) = self.processor.shutdown() {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}
