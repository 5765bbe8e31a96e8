#![doc = include_str!("../README.md")]

mod document;
mod logs;
mod metric;
mod metrics;
mod table;
mod traces;

pub use document::document;
pub use logs::{LogFormat, TelemetryError};
pub use metric::{Kind, Label, Metric, Role, Unit, Values};
pub use metrics::Metrics;
pub use table::{Area, TABLE, all as all_metrics};

use opentelemetry_sdk::trace::SdkTracerProvider;

/// What must be kept until the end of the process.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Installs the subscriber. `level` is an `EnvFilter` text such as `info` or `info,whimbrel_sender=debug`.
///
/// # Errors
/// When `level` cannot be read, an exporter cannot be built, or a subscriber is installed already.
pub fn init(format: LogFormat, level: &str) -> Result<Telemetry, TelemetryError> {
    let traces = traces::provider()?;
    logs::install(format, level, traces.as_ref())?;
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what is buffered. Blocks for up to the exporter's timeout.
    pub fn shutdown(self) {
        if let Some(provider) = self.traces
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans could not be exported");
        }
    }
}
