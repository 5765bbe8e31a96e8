//! Metrics for Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds for everything measured in seconds.
const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Between clean-ups of what histograms gather.
const UPKEEP: Duration = Duration::from_secs(5);

/// Renders what was counted.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder for the whole process. `None` when there is one already.
    pub fn install() -> Option<Self> {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)
            .ok()?
            .install_recorder()
            .ok()
            .map(Self)
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
