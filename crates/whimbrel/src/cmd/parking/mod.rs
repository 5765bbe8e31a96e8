//! `whimbrel parking`: what could not be processed.

mod broker;
mod desk;
mod print;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use whimbrel_core::ParkedId;
use whimbrel_core::parking::Selection;
use whimbrel_core::port::Source;

use self::desk::Desk;
use super::shared::{ServerArgs, count};
use crate::config::Config;

/// What could not be processed: list, show, redrive, discard.
///
/// Over a server's API, with an admin key; or on the broker itself, as the user of --amqp-url.
#[derive(Debug, Args)]
pub(crate) struct ParkingArgs {
    #[command(flatten)]
    server: ServerArgs,

    /// Work on the broker itself, as this user: amqp://user:password@host:port/vhost.
    #[arg(long, value_name = "URL", global = true)]
    amqp_url: Option<SecretString>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists parked messages, oldest first.
    List {
        #[command(flatten)]
        meant: Meant,
        /// Messages shown.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows one message with all of its bytes, as JSON.
    Show {
        /// Which.
        #[arg(value_name = "ID")]
        id: ParkedId,
    },
    /// Brings messages back to where they came from.
    Redrive {
        /// Which.
        #[arg(value_name = "ID")]
        ids: Vec<ParkedId>,
        #[command(flatten)]
        meant: Meant,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
    /// Throws messages away, for good.
    Discard {
        /// Which.
        #[arg(value_name = "ID", required = true)]
        ids: Vec<ParkedId>,
    },
}

/// Those that came from somewhere, or for some reason.
#[derive(Debug, Args)]
struct Meant {
    /// Those that came from here: events, jobs.live, jobs.slow, jobs.bulk or outcomes.
    #[arg(long, value_parser = source)]
    source: Option<Source>,
    /// Those with this reason, by its first word, such as unknown_tenant.
    #[arg(long, value_name = "WORD")]
    reason: Option<String>,
}

impl Meant {
    fn selection(self, ids: Vec<ParkedId>) -> Selection {
        Selection { ids, source: self.source, reason: self.reason }
    }
}

fn source(text: &str) -> Result<Source, String> {
    Source::parse(text).ok_or_else(|| "it must be events, jobs.live, jobs.slow, jobs.bulk or outcomes".to_owned())
}

/// `load` is asked only by what works on the broker.
pub(crate) async fn run(args: ParkingArgs, load: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<ExitCode> {
    let desk = match &args.amqp_url {
        Some(url) => Desk::Broker(broker::open(url, load()?.amqp.tenant_from_user_id)?),
        None => Desk::Api(args.server.client()?),
    };
    match args.action {
        Action::List { meant, limit, json } => {
            let (messages, more) = desk.list(&meant.selection(Vec::new()), limit).await?;
            print::list(&messages, more, json);
        }
        Action::Show { id } => println!("{:#}", desk.show(id).await?),
        Action::Redrive { ids, meant, all } => {
            let meant = meant.selection(ids);
            if meant.is_everything() != all {
                bail!("name ids, --source or --reason, or say --all; not both");
            }
            return Ok(report(&desk.redrive(&meant).await?));
        }
        Action::Discard { ids } => {
            for id in &ids {
                desk.discard(*id).await.with_context(|| format!("{id} was not thrown away"))?;
            }
            println!("{} thrown away", count(ids.len(), "message"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a redrive did.
struct BroughtBack {
    redriven: u64,
    stuck: u64,
    more: bool,
}

fn report(done: &BroughtBack) -> ExitCode {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    println!("{} brought back", count(number(done.redriven), "message"));
    if done.more {
        println!("there are more: run this again");
    }
    if done.stuck > 0 {
        eprintln!("whimbrel: {} stay: nothing says where they came from", count(number(done.stuck), "message"));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
