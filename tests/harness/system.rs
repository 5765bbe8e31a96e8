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

/// The database on a private server.
const DATABASE: &str = "whimbrel";
/// A process each.
pub(crate) const ROLES: [&str; 4] = ["api", "ingest", "sender", "tracker"];
/// Of every scenario.
pub(crate) const ADMIN_KEY: &str = "whk_the_scenarios_admin_key";
const RING: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The servers behind a distributed system.
pub(crate) enum Servers {
    None,
    /// A database and a vhost of its own on servers that other tests use, too.
    Shared(Database, Vhost),
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
    urls: Urls,
}

/// The variables that name the servers; none for the embedded engine.
type Urls = Vec<(&'static str, String)>;

impl System {
    /// Starts one that may deliver to 127.0.0.1.
    pub(crate) async fn start(kind: Kind) -> Result<Self> {
        Self::with(kind, &[]).await
    }

    /// The same with more variables.
    pub(crate) async fn with(kind: Kind, variables: &[(&str, &str)]) -> Result<Self> {
        match kind {
            Kind::Embedded => Self::on_servers(Servers::None, variables).await,
            Kind::Distributed => Self::on(postgres::database().await?, rabbitmq::vhost().await?, variables).await,
        }
    }

    /// A distributed one on this database and this vhost, which may have been used before.
    pub(crate) async fn on(database: Database, vhost: Vhost, variables: &[(&str, &str)]) -> Result<Self> {
        Self::on_servers(Servers::Shared(database, vhost), variables).await
    }

    /// Stops every process in order and starts them anew, with these variables instead of those of before. The
    /// embedded engine needs a `WHIMBREL_DATA_DIR` among them, both times.
    pub(crate) async fn again(self, variables: &[(&str, &str)]) -> Result<Self> {
        Self::on_servers(self.stop().await?, variables).await
    }

    /// Stops every process that runs, in order; gives the servers.
    pub(crate) async fn stop(self) -> Result<Servers> {
        stop(self.processes).await?;
        Ok(self.servers)
    }

    /// One on the servers of another, which was stopped.
    pub(crate) async fn on_servers(servers: Servers, variables: &[(&str, &str)]) -> Result<Self> {
        let urls = match &servers {
            Servers::None => Urls::new(),
            Servers::Shared(database, vhost) => urls(database.url(), vhost.amqp_url()),
            Servers::Private(postgres, _, vhost) => urls(&postgres.url(DATABASE), vhost.amqp_url()),
        };
        Self::launch(servers, urls, variables).await
    }

    /// A command on the same servers, under the same keys.
    pub(crate) fn command(&self, subcommand: &str) -> Builder {
        command(subcommand, &self.urls)
    }

    /// A distributed one on servers of its own.
    pub(crate) async fn on_private_servers(variables: &[(&str, &str)]) -> Result<Self> {
        let (postgres, broker) = tokio::try_join!(Postgres::start(), Broker::start())?;
        postgres.create_database(DATABASE).await?;
        let vhost = broker.create_vhost().await?;
        Self::on_servers(Servers::Private(Box::new(postgres), Box::new(broker), vhost), variables).await
    }

    async fn launch(servers: Servers, urls: Urls, variables: &[(&str, &str)]) -> Result<Self> {
        let command = |subcommand: &str| -> Builder {
            variables.iter().fold(command(subcommand, &urls), |builder, (name, value)| builder.env(name, *value))
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
        Ok(Self { processes, api, servers, urls })
    }

    /// The process with this role.
    pub(crate) fn role(&mut self, role: &str) -> &mut Whimbrel {
        let place =
            if self.processes.len() == 1 { 0 } else { ROLES.iter().position(|known| *known == role).unwrap_or(0) };
        &mut self.processes[place]
    }
}

/// A command with what every process of a scenario is given.
pub(crate) fn command(subcommand: &str, urls: &[(&'static str, String)]) -> Builder {
    let base = Whimbrel::command(subcommand)
        .env("WHIMBREL_ADMIN_KEY", ADMIN_KEY)
        .env("WHIMBREL_SECRETS__KEYS", RING)
        .env("WHIMBREL_EGRESS__ALLOW_HTTP", "true")
        .env("WHIMBREL_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8");
    urls.iter().fold(base, |builder, (name, value)| builder.env(name, value.clone()))
}

/// The variables that choose the distributed engine.
pub(crate) fn urls(database: &str, amqp: &str) -> Urls {
    vec![("WHIMBREL_DATABASE_URL", database.to_owned()), ("WHIMBREL_AMQP_URL", amqp.to_owned())]
}

/// Runs a command that must succeed; gives what it wrote.
pub(crate) async fn finish(command: Builder) -> Result<Vec<String>> {
    let mut process = command.start()?;
    let status = process.exited(SOON).await?;
    ensure!(status.success(), "{status}: {}", process.lines().join("\n"));
    Ok(process.lines())
}

/// Runs a command that must fail; gives what it wrote.
pub(crate) async fn refused(command: Builder) -> Result<Vec<String>> {
    let mut process = command.start()?;
    let status = process.exited(SOON).await?;
    ensure!(!status.success(), "it should have failed: {}", process.lines().join("\n"));
    Ok(process.lines())
}

async fn stop(processes: Vec<Whimbrel>) -> Result<()> {
    for mut process in processes.into_iter().filter(|process| process.pid().is_some()) {
        let status = process.terminate(SOON).await?;
        ensure!(status.success(), "{status}: {}", process.lines().join("\n"));
    }
    Ok(())
}

/// A number from a process's `/metrics`: the sum over the label sets of one name.
pub(crate) async fn metric(process: &Whimbrel, name: &str) -> Result<f64> {
    let text = whimbrel_testkit::http::client().get(process.ops_url("/metrics")).send().await?.text().await?;
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().context("a metric is no number")).sum()
}
