//! Metrics for Prometheus.

use std::time::Duration;

use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::metric::{Kind, Metric, Role, Unit};
use crate::table;

/// Between clean-ups of what histograms gather: 24 bytes each time, so a second of full load is a megabyte.
const UPKEEP: Duration = Duration::from_secs(1);
const METADATA: Metadata<'static> = Metadata::new("whimbrel", Level::INFO, None);

/// Renders what was counted.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder for the whole process, with what these roles export from the start. `None` when there is
    /// one already.
    pub fn install(roles: &[Role]) -> Option<Self> {
        let recorder = recorder(roles).ok()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        Some(Self(handle))
    }

    /// Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps histograms small; runs for ever.
    pub async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            self.0.run_upkeep();
        }
    }
}

/// One that knows the whole table, and holds what these roles export from the start.
fn recorder(roles: &[Role]) -> Result<PrometheusRecorder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in table::all().filter(|metric| metric.kind == Kind::Histogram) {
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)?;
    }
    let recorder = builder.build_recorder();
    for metric in table::all() {
        describe(&recorder, metric);
        if metric.roles.iter().any(|role| roles.contains(role)) {
            begin(&recorder, metric);
        }
    }
    Ok(recorder)
}

fn describe(recorder: &PrometheusRecorder, metric: &Metric) {
    let unit = Some(match metric.unit {
        Unit::Count => metrics::Unit::Count,
        Unit::Seconds => metrics::Unit::Seconds,
    });
    let (name, help) = (metric.name.into(), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}

fn begin(recorder: &PrometheusRecorder, metric: &Metric) {
    for labels in metric.starting_label_sets() {
        let key = Key::from_parts(metric.name, labels.as_slice());
        match metric.kind {
            Kind::Counter => drop(recorder.register_counter(&key, &METADATA)),
            Kind::Gauge => drop(recorder.register_gauge(&key, &METADATA)),
            Kind::Histogram => drop(recorder.register_histogram(&key, &METADATA)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(roles: &[Role]) -> String {
        recorder(roles).expect("every histogram has buckets").handle().render()
    }

    #[test]
    fn what_must_be_there_from_the_start_is_there_at_0_with_its_help() {
        let text = rendered(&[Role::Tracker]);
        for line in [
            "whimbrel_sweep_republished_total{lane=\"slow\"} 0\n",
            "whimbrel_ping_seconds_count{port=\"store\"} 0\n",
            "whimbrel_ping_seconds_bucket{port=\"store\",le=\"0.25\"} 0\n",
            "# TYPE whimbrel_ping_seconds histogram\n",
            "# HELP whimbrel_attempts_total Attempts by result.\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_role_does_not_export_what_others_do() {
        let text = rendered(&[Role::Api]);
        assert!(!text.contains("whimbrel_sweep_republished_total"), "{text}");
        assert!(!text.contains("whimbrel_sqlite_commits_total"), "not on every engine: {text}");
        assert!(rendered(Role::ALL).contains("whimbrel_attempts_in_flight{lane=\"live\"} 0\n"));
    }
}
