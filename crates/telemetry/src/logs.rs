//! The log on standard error.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level's text.
    #[error("the log level `{0}` cannot be read; use a level such as `info`, or `info,whimbrel_sender=debug`")]
    Level(String),
    /// The exporter's settings.
    #[error("the trace exporter cannot be built from the OTEL_ variables: {0}")]
    Exporter(String),
    /// Twice in one process.
    #[error("telemetry is installed already")]
    Installed,
}

pub(crate) fn install(
    format: LogFormat,
    level: &str,
    traces: Option<&SdkTracerProvider>,
) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(level).map_err(|_| TelemetryError::Level(level.to_owned()))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let spans = traces.map(|provider| {
        let spans = EnvFilter::new("info,hyper=off,h2=off,reqwest=off,lapin=off,sqlx=off");
        tracing_opentelemetry::layer().with_tracer(provider.tracer("whimbrel")).with_filter(spans)
    });
    Registry::default().with(lines).with(spans).try_init().map_err(|_| TelemetryError::Installed)
}
