//! `whimbrel topology`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use url::Url;
use whimbrel_core::tier::Tiers;
use whimbrel_rabbitmq::Topology;
use whimbrel_rabbitmq::topology::{Management, check, declare};

use crate::config::Config;
use crate::engine;

/// The RabbitMQ topology that these contracts need.
#[derive(Debug, Args)]
pub(crate) struct TopologyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints exchanges, queues and bindings.
    Print,
    /// Declares what is missing on the broker of amqp_url.
    Apply,
    /// Compares the broker with the table, through its management API.
    Check {
        /// The management API, such as http://user:password@broker:15672.
        #[arg(long, env = "WHIMBREL_MANAGEMENT_URL", hide_env_values = true, value_name = "URL")]
        management_url: String,
        /// The virtual host; that of amqp_url when left out.
        #[arg(long)]
        vhost: Option<String>,
    },
    /// Prints a definitions file for platform teams, least-privilege users included.
    Definitions {
        /// The virtual host the definitions are for.
        #[arg(long, default_value = "/")]
        vhost: String,
    },
}

pub(crate) async fn run(args: TopologyArgs, config: Config) -> anyhow::Result<ExitCode> {
    let topology = Topology::new(&Tiers::new(engine::contracts(&config)?.distinct_delays()));
    match args.action {
        Action::Print => print!("{topology}"),
        Action::Definitions { vhost } => println!("{}", topology.definitions_json(&vhost)),
        Action::Apply => {
            declare(amqp_url(&config)?, &topology).await?;
            println!("the topology is declared");
        }
        Action::Check { management_url, vhost } => {
            let vhost = vhost.map_or_else(|| vhost_of(amqp_url(&config)?), Ok)?;
            return differences(&topology, &management_url, &vhost).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn differences(topology: &Topology, management_url: &str, vhost: &str) -> anyhow::Result<ExitCode> {
    let http = reqwest::Client::builder().timeout(std::time::Duration::from_secs(10)).build()?;
    let differences = check(topology, &Management::new(management_url, http)?, vhost).await?;
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        println!("the broker agrees with the table");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn amqp_url(config: &Config) -> anyhow::Result<&str> {
    match &config.amqp_url {
        Some(url) => Ok(url.expose_secret()),
        None => bail!("amqp_url is not set (WHIMBREL_AMQP_URL)"),
    }
}

fn vhost_of(url: &str) -> anyhow::Result<String> {
    let url = Url::parse(url).context("amqp_url cannot be read")?;
    let path = url.path().trim_start_matches('/').replace("%2f", "/").replace("%2F", "/");
    Ok(if path.is_empty() { "/".into() } else { path })
}
