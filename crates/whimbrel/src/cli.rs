//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cmd;

/// Webhook delivery: events in, signed webhooks out.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file (TOML). Variables named WHIMBREL_… override it.
    #[arg(long, env = "WHIMBREL_CONFIG", global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs Whimbrel: every role, or the ones named.
    Serve(cmd::serve::ServeArgs),
    /// Shows the whole way once: a server, receivers, events, a retry.
    Demo(cmd::demo::DemoArgs),
    /// Receives webhooks, verifies and prints them.
    Listen(cmd::listen::ListenArgs),
    /// Publishes one event through the API.
    Send(cmd::send::SendArgs),
    /// Checks a signature offline.
    Verify(cmd::verify::VerifyArgs),
    /// The contracts: what receivers see.
    Contracts(cmd::contracts::ContractsArgs),
    /// The RabbitMQ topology: print, check, apply, definitions.
    Topology(cmd::topology::TopologyArgs),
    /// Brings the database's schema up to this version.
    Migrate,
    // Without a doc comment here, the help shows all that the arguments' own says.
    Parking(cmd::parking::ParkingArgs),
    Prune(cmd::prune::PruneArgs),
    Secrets(cmd::secrets::SecretsArgs),
    Export(cmd::transfer::ExportArgs),
    Import(cmd::transfer::ImportArgs),
    /// Prints the effective configuration, secrets masked.
    Config,
}
