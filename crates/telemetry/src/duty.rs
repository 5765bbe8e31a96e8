//! Spans of what a process does by the clock: ordinary `tracing` spans under one target, exported through
//! tracing-opentelemetry. They belong to no event, so they are traces of their own; an event's steps are written at
//! their end instead ([`crate::Span`]), so that a failure can still overrule the sampler.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::{Service, TelemetryError, pipeline};

/// The target of these spans: `tracing::info_span!(target: whimbrel_telemetry::DUTY, "sweep")`.
pub const DUTY: &str = "whimbrel::duty";

/// Their provider when the variables name a collector, with the SDK's own reading of sampler and buffer.
pub(crate) fn provider(service: &Service) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if !pipeline::is_wanted()? {
        return Ok(None);
    }
    let resource = pipeline::resource(&service.name);
    let builder = SdkTracerProvider::builder().with_batch_exporter(pipeline::exporter()?).with_resource(resource);
    Ok(Some(builder.build()))
}

/// What hands the spans of [`DUTY`] to the provider, whatever the log's level.
pub(crate) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_duty = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == DUTY;
    tracing_opentelemetry::layer().with_tracer(provider.tracer("whimbrel")).with_filter(filter_fn(is_duty))
}
