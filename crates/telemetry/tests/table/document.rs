//! The generated list.

use anyhow::{Result, ensure};

const LIST: &str = "docs/metrics.md";

/// `WHIMBREL_GENERATE=1` writes the file instead.
#[test]
fn generated_metrics_md_is_in_step() -> Result<()> {
    let generated = whimbrel_telemetry::document();
    if std::env::var_os("WHIMBREL_GENERATE").is_some() {
        std::fs::write(crate::path(LIST), &generated)?;
    }
    ensure!(
        crate::read(LIST)? == generated,
        "{LIST} is not what the table of metrics says: run this test with WHIMBREL_GENERATE=1"
    );
    Ok(())
}
