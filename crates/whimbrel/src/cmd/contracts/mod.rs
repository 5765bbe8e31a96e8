//! `whimbrel contracts`: what receivers see.

mod check;
mod describe;
mod list;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::shared::{ContractsDirArgs, Paint, named};

/// Shows and checks contracts.
#[derive(Debug, Args)]
pub(crate) struct ContractsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All contracts, one a row.
    List {
        #[command(flatten)]
        dir: ContractsDirArgs,
    },
    /// Everything about one contract, with a request as a receiver gets it.
    Show {
        /// The contract.
        name: String,
        #[command(flatten)]
        dir: ContractsDirArgs,
    },
    /// Reads contract files and says what is wrong with them.
    Check {
        /// TOML files; each file's name is its contract's.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Prints what was asked for. `check` exits 1 when a file does not hold.
#[expect(clippy::unused_async, reason = "every command has this form")]
pub(crate) async fn run(args: ContractsArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { dir } => {
            println!("{}", list::table(&dir.load()?));
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { name, dir } => {
            let contracts = dir.load()?;
            print!("{}", show::page(&contracts, &named(&contracts, &name)?, Paint::stdout())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { files } => Ok(check::files(&files)),
    }
}
