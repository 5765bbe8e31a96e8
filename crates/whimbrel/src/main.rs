//! The `whimbrel` binary: configuration, roles, command line. The only crate that names engines.

mod cli;
mod cmd;
mod config;
mod engine;
mod gauges;
mod keys;
mod live;
mod measured;
mod serving;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

use crate::cli::{Cli, Command};
use crate::config::Config;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no other provider was installed before the first line");
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli));
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            result
        }
        Err(error) => Err(anyhow::anyhow!("no threads can be started: {error}")),
    };
    result.unwrap_or_else(|error| {
        eprintln!("whimbrel: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let load = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve(args) => cmd::serve::run(args, load).await,
        Command::Demo(args) => cmd::demo::run(args).await,
        Command::Listen(args) => cmd::listen::run(args).await,
        Command::Send(args) => cmd::send::run(args).await,
        Command::Verify(args) => cmd::verify::run(args).await,
        Command::Contracts(args) => cmd::contracts::run(args).await,
        Command::Topology(args) => cmd::topology::run(args, load()?).await,
        Command::Migrate => cmd::migrate::run(load()?).await,
        Command::Parking(args) => cmd::parking::run(args, load).await,
        Command::Prune(args) => cmd::prune::run(args, load()?).await,
        Command::Secrets(args) => cmd::secrets::run(args, load).await,
        Command::Export(args) => cmd::transfer::export(args, load()?).await,
        Command::Import(args) => cmd::transfer::import(args, load()?).await,
        Command::Config => {
            print!("{}", load()?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
