//! The processes of a Whimbrel, on either engine.

use anyhow::{Context, Result, ensure};
use whimbrel_testkit::postgres::{self, Database, Postgres};
use whimbrel_testkit::process::{Builder, Whimbrel};
use whimbrel_testkit::rabbitmq::{self, Broker, Vhost};

use super::{Api, SOON};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One process on SQLite.
    Embedded,
    /// One process a role on RabbitMQ and PostgreSQL.
    Distributed,
}

const ROLES: [&str; 4] = ["api", "ingest", "sender", "tracker"];
const ADMIN_KEY: &str = "whk_the_scenarios_admin_key";
const RING: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The servers behind a distributed system.
pub(crate) enum Servers {
    None,
    /// A database and a vhost of its own on servers that other tests use, too.
    Shared(#[expect(dead_code, reason = "held for its drop")] Database, Vhost),
    /// Servers of its own, that may be killed.
    Private(Box<Postgres>, Box<Broker>, Vhost),
}

impl Servers {
    pub(crate) fn vhost(&self) -> &Vhost {
        match self {
            Self::None => panic!("the embedded engine has no broker"),
            Self::Shared(_, vhost) | Self::Private(_, _, vhost) => vhost,
        }
    }
}

/// A running system. Dropping it kills its processes first.
pub(crate) struct System {
    pub(crate) processes: Vec<Whimbrel>,
    pub(crate) api: Api,
    pub(crate) servers: Servers,
}

impl System {
    /// Starts one that may deliver to 127.0.0.1.
    pub(crate) async fn start(kind: Kind) -> Result<Self> {
        Self::with(kind, &[]).await
    }

    /// The same with more variables.
    pub(crate) async fn with(kind: Kind, variables: &[(&str, &str)]) -> Result<Self> {
        match kind {
            Kind::Embedded => Self::launch(Servers::None, &[], variables).await,
            Kind::Distributed => {
                let database = postgres::database().await?;
                let vhost = rabbitmq::vhost().await?;
                let urls = [
                    ("WHIMBREL_DATABASE_URL", database.url().to_owned()),
                    ("WHIMBREL_AMQP_URL", vhost.amqp_url().to_owned()),
                ];
                Self::launch(Servers::Shared(database, vhost), &urls, variables).await
            }
        }
    }

    /// A distributed one on servers of its own.
    pub(crate) async fn on_private_servers(variables: &[(&str, &str)]) -> Result<Self> {
        let (postgres, broker) = tokio::try_join!(Postgres::start(), Broker::start())?;
        let url = postgres.create_database("whimbrel").await?;
        let vhost = broker.create_vhost().await?;
        let urls = [("WHIMBREL_DATABASE_URL", url), ("WHIMBREL_AMQP_URL", vhost.amqp_url().to_owned())];
        Self::launch(Servers::Private(Box::new(postgres), Box::new(broker), vhost), &urls, variables).await
    }

    async fn launch(servers: Servers, urls: &[(&str, String)], variables: &[(&str, &str)]) -> Result<Self> {
        let command = |subcommand: &str| -> Builder {
            let base = Whimbrel::command(subcommand)
                .env("WHIMBREL_ADMIN_KEY", ADMIN_KEY)
                .env("WHIMBREL_SECRETS__KEYS", RING)
                .env("WHIMBREL_EGRESS__ALLOW_HTTP", "true")
                .env("WHIMBREL_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8");
            let base = urls.iter().fold(base, |builder, (name, value)| builder.env(name, value.clone()));
            variables.iter().fold(base, |builder, (name, value)| builder.env(name, *value))
        };
        let processes = if urls.is_empty() {
            vec![command("serve").start()?]
        } else {
            finish(command("migrate")).await?;
            finish(command("topology").arg("apply")).await?;
            ROLES.iter().map(|role| command("serve").arg("--role").arg(*role).start()).collect::<Result<_>>()?
        };
        for process in &processes {
            process.ready(SOON).await?;
        }
        let api = Api::new(processes[0].url(""), ADMIN_KEY);
        Ok(Self { processes, api, servers })
    }

    /// The process with this role.
    pub(crate) fn role(&mut self, role: &str) -> &mut Whimbrel {
        let place =
            if self.processes.len() == 1 { 0 } else { ROLES.iter().position(|known| *known == role).unwrap_or(0) };
        &mut self.processes[place]
    }
}

async fn finish(command: Builder) -> Result<()> {
    let mut process = command.start()?;
    let status = process.exited(SOON).await?;
    ensure!(status.success(), "{status}: {}", process.lines().join("\n"));
    Ok(())
}

/// A number from a process's `/metrics`: the sum over the label sets of one name.
pub(crate) async fn metric(process: &Whimbrel, name: &str) -> Result<f64> {
    let text = whimbrel_testkit::http::client().get(process.ops_url("/metrics")).send().await?.text().await?;
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().context("a metric is no number")).sum()
}
