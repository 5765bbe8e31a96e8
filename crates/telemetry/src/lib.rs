#![doc = include_str!("../README.md")]

mod context;
mod document;
mod duty;
mod lines;
mod logs;
mod metric;
mod metrics;
mod pipeline;
mod span;
mod table;

pub use document::document;
pub use duty::DUTY;
pub use logs::{LogFormat, TelemetryError, set_level};
pub use metric::{Kind, Label, Metric, Role, Unit, Values};
pub use metrics::Metrics;
pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
pub use pipeline::{exports_spans, messaging_system};
pub use span::{Record, Span};
pub use table::{Area, TABLE, all as all_metrics};

use opentelemetry_sdk::trace::SdkTracerProvider;

/// Who sends spans.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`, where no variable gives one.
    pub name: String,
    /// `messaging.system`: what carries messages between roles.
    pub messaging_system: &'static str,
}

/// What must be kept until the end of the process.
pub struct Telemetry {
    exports: bool,
    duties: Option<SdkTracerProvider>,
}

/// Installs the subscriber, and the exporter of spans when the standard variables name a collector. `level` is an
/// `EnvFilter` text such as `info` or `info,whimbrel_sender=debug`.
///
/// # Errors
/// When `level` cannot be read, an exporter cannot be built, or a subscriber is installed already.
pub fn init(service: &Service, format: LogFormat, level: &str) -> Result<Telemetry, TelemetryError> {
    let duties = duty::provider(service)?;
    logs::install(format, level, duties.as_ref())?;
    Ok(Telemetry { exports: pipeline::install(service)?, duties })
}

impl Telemetry {
    /// Sends the spans that are buffered. Blocks for up to the exporter's timeout.
    pub fn shutdown(mut self) {
        if let Some(Err(error)) = self.duties.take().map(|duties| duties.shutdown()) {
            tracing::warn!(%error, "the last spans of duties could not be exported");
        }
        if let Some(pipeline) = pipeline::get().filter(|_| self.exports) {
            pipeline.shutdown();
        }
    }
}

impl Drop for Telemetry {
    /// Writes the last lines of the log.
    fn drop(&mut self) {
        logs::flush();
    }
}
