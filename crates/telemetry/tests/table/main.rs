//! The table of metrics against everything that names them: the code, the docs, the alert rules, the dashboard.

mod alerts;
mod calls;
mod dashboard;
mod document;
mod promql;

use std::path::PathBuf;

use anyhow::{Context, Result};

/// A file of the repository.
fn path(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative)
}

fn read(relative: &str) -> Result<String> {
    std::fs::read_to_string(path(relative)).with_context(|| format!("{relative} cannot be read"))
}
