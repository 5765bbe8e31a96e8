//! The log on standard error.

use std::io::{IsTerminal, Stderr};
use std::sync::OnceLock;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::duty;
use crate::lines::Lines;

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
    /// The log needs a thread.
    #[error("no thread can be started for the log: {0}")]
    Thread(std::io::Error),
    /// Twice in one process.
    #[error("telemetry is installed already")]
    Installed,
}

/// The log, and with a provider the spans of duties.
pub(crate) fn install(
    format: LogFormat,
    level: &str,
    duties: Option<&SdkTracerProvider>,
) -> Result<(), TelemetryError> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let output = Lines::to(std::io::stderr()).map_err(TelemetryError::Thread)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(output.clone());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    Registry::default().with(lines).with(duties.map(duty::layer)).try_init().map_err(|_| TelemetryError::Installed)?;
    OUTPUT.set(output).map_err(|_| TelemetryError::Installed)?;
    FILTER.set(handle).map_err(|_| TelemetryError::Installed)
}

/// Where lines go, once there is a log.
static OUTPUT: OnceLock<Lines<Stderr>> = OnceLock::new();

/// Writes what waits to be written.
pub(crate) fn flush() {
    if let Some(output) = OUTPUT.get() {
        output.flush();
    }
}

/// The filter in use, once there is one.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Changes the level of the log from now on. Without effect before [`init`](crate::init).
///
/// # Errors
/// When `level` cannot be read: then the one of before stays.
pub fn set_level(level: &str) -> Result<(), TelemetryError> {
    let filter = filter(level)?;
    if let Some(handle) = FILTER.get() {
        handle.reload(filter).map_err(|_| TelemetryError::Level(level.to_owned()))?;
    }
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(level).map_err(|_| TelemetryError::Level(level.to_owned()))
}
