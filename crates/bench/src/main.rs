//! `whimbrel-bench`: see the crate's README.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use whimbrel_bench::options::Options;
use whimbrel_bench::{bench, report};

// One thread for the load and one for the receiver: the rest of the machine is Whimbrel's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    whimbrel_testkit::http::install_tls();
    whimbrel_testkit::servers::sweep()?;
    let options = Options::parse();
    let report = bench::run(&options).await?;
    report::write(&report, &options)?;
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
