//! A whole Whimbrel on either engine, its roles as processes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use whimbrel_testkit::process::{Builder, Whimbrel};
use whimbrel_testkit::{http, wait};

use crate::load::{HttpIntake, subscription};
use crate::result::Part;
use crate::servers::{Corner, Servers};

const ADMIN_KEY: &str = "whk_the_admin_key_of_the_bench";
const RING: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// Long enough for a process to start or a server to answer on a busy machine.
const SOON: Duration = Duration::from_mins(1);
/// Webhooks that are made at the same time.
const MAKING: usize = 16;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// PostgreSQL and RabbitMQ, one process a role.
    Distributed,
    /// SQLite, one process.
    Embedded,
}

impl Engine {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Distributed => "distributed",
            Self::Embedded => "embedded",
        }
    }
}

/// What differs between systems.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Processes with the role sender; the embedded engine has one of everything.
    pub senders: usize,
    /// `WHIMBREL_*` variables by name.
    pub variables: Vec<(&'static str, String)>,
    /// The first delay of endpoints that fail, instead of the contract's; one that some contract has.
    pub first_delay: Option<Duration>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { senders: 1, variables: Vec::new(), first_delay: None }
    }
}

/// A running system; its processes die with it.
pub struct System {
    /// Its engine.
    pub engine: Engine,
    processes: Vec<(Part, Whimbrel)>,
    corner: Option<Corner>,
    client: reqwest::Client,
}

impl System {
    /// Starts one that may deliver to this machine, and waits until it is ready.
    ///
    /// # Errors
    /// When a process does not come up; the message ends with what it wrote.
    pub async fn start(program: Option<&PathBuf>, servers: &Servers, engine: Engine, setup: &Setup) -> Result<Self> {
        let corner = match engine {
            Engine::Embedded => None,
            Engine::Distributed => Some(servers.corner(true).await?),
        };
        let command = |subcommand: &str| command(program, subcommand, corner.as_ref(), setup);
        if corner.as_ref().is_some_and(|corner| !corner.is_migrated) {
            finish(command("migrate")).await?;
        }
        if corner.as_ref().is_some_and(|corner| !corner.has_topology) {
            finish(command("topology").arg("apply")).await?;
        }
        let mut processes = Vec::new();
        for part in parts(engine, setup.senders) {
            let serve = command("serve");
            let serve = if part == Part::Serve { serve } else { serve.arg("--role").arg(part.as_str()) };
            processes.push((part, serve.start()?));
        }
        for (_, process) in &processes {
            process.ready(SOON).await?;
        }
        Ok(Self { engine, processes, corner, client: http::client() })
    }

    /// Kills it and gives back what it used.
    ///
    /// # Errors
    /// When a server is down.
    pub async fn discard(mut self, servers: &Servers) -> Result<()> {
        for (_, process) in &mut self.processes {
            process.kill9().await;
        }
        match self.corner {
            Some(corner) => servers.take_back(corner).await,
            None => Ok(()),
        }
    }

    /// The process ids by part.
    pub fn pids(&self) -> Vec<(Part, i32)> {
        self.processes.iter().filter_map(|(part, process)| Some((*part, process.pid()?))).collect()
    }

    /// Where it takes events over HTTP.
    pub fn intake(&self) -> HttpIntake {
        HttpIntake { base: self.processes[0].1.url(""), key: ADMIN_KEY.to_owned() }
    }

    /// Where it takes events over AMQP; the embedded engine does not.
    pub fn amqp_url(&self) -> Option<&str> {
        self.corner.as_ref().map(|corner| corner.vhost().amqp_url())
    }

    /// Makes webhooks, each with the secret of [`secret`].
    ///
    /// # Errors
    /// When the API refuses one.
    pub async fn subscribe(&self, webhooks: Vec<Webhook>) -> Result<()> {
        stream::iter(webhooks).map(|webhook| self.make(webhook)).buffer_unordered(MAKING).try_collect().await
    }

    /// Calls the API; gives the answer's document.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.client.request(method, self.processes[0].1.url(path)).bearer_auth(ADMIN_KEY);
        let request = body.into_iter().fold(request, reqwest::RequestBuilder::json);
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path} was answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn make(&self, webhook: Webhook) -> Result<()> {
        let secret = format!("whsec_{}", BASE64.encode(&secret(webhook.endpoint)));
        let events = [subscription((!webhook.gets_all).then_some(webhook.endpoint))];
        let mut body = json!({"url": webhook.url, "events": events, "secret": secret});
        if let Some(delays) = webhook.retries {
            body["retry_schedule"] = json!(delays);
        }
        self.call(Method::POST, "/v1/webhooks", Some(&body)).await.context("a webhook cannot be made")?;
        Ok(())
    }

    /// Attempts whose results are stored.
    ///
    /// # Errors
    /// When the tracker does not answer.
    pub async fn attempts(&self) -> Result<u64> {
        let tracker = self.processes.iter().find(|(part, _)| matches!(part, Part::Tracker | Part::Serve));
        let (_, tracker) = tracker.context("no process is the tracker")?;
        let values = self.metrics(tracker, "whimbrel_attempts_total").await?;
        Ok(values.iter().map(|(_, value)| *value).sum())
    }

    /// Waits until the results of so many attempts are stored.
    ///
    /// # Errors
    /// When `timeout` passes first.
    pub async fn settled(&self, attempts: u64, timeout: Duration) -> Result<()> {
        let what = format!("the results of {attempts} attempts are stored");
        wait::until(&what, timeout, || async { (self.attempts().await.ok()? >= attempts).then_some(()) }).await
    }

    /// Waits until no queue holds anything.
    ///
    /// # Errors
    /// When `timeout` passes first; the message names those that do.
    pub async fn drained(&self, timeout: Duration) -> Result<()> {
        let drained = wait::until("every queue is empty", timeout, || async {
            self.waiting().await.ok()?.is_empty().then_some(())
        });
        match drained.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(format!("there is still {:?}", self.waiting().await))),
        }
    }

    /// The queues that hold something, as they said last.
    async fn waiting(&self) -> Result<Vec<(String, u64)>> {
        let depths = match &self.corner {
            Some(corner) => corner.vhost().depths().await?.into_iter().collect(),
            None => self.metrics(&self.processes[0].1, "whimbrel_queue_depth").await?,
        };
        Ok(depths.into_iter().filter(|(_, depth)| *depth > 0).collect())
    }

    /// The samples of one metric, by their labels.
    async fn metrics(&self, process: &Whimbrel, name: &str) -> Result<Vec<(String, u64)>> {
        let text = self.client.get(process.ops_url("/metrics")).send().await?.text().await?;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let number = |value: &str| value.split('.').next().and_then(|whole| whole.parse().ok());
        Ok(samples.filter_map(|(labels, value)| Some((labels.to_owned(), number(value)?))).collect())
    }

    /// The version that the API reports.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String> {
        let document: Value = self.client.get(self.processes[0].1.url("/openapi.json")).send().await?.json().await?;
        document["info"]["version"].as_str().map(str::to_owned).context("no version in the API's document")
    }
}

/// A webhook to make.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its number at the receiver.
    pub endpoint: usize,
    /// Where it is.
    pub url: String,
    /// Whether it gets the events for all, or those for it alone.
    pub gets_all: bool,
    /// The delays between attempts, instead of the contract's.
    pub retries: Option<[String; 2]>,
}

/// The 32 bytes that an endpoint's deliveries are signed with.
pub fn secret(endpoint: usize) -> Vec<u8> {
    format!("the bench's secret of {endpoint:09}..").into_bytes()[..32].to_vec()
}

fn parts(engine: Engine, senders: usize) -> Vec<Part> {
    match engine {
        Engine::Embedded => vec![Part::Serve],
        Engine::Distributed => {
            let senders = std::iter::repeat_n(Part::Sender, senders);
            [Part::Api, Part::Ingest, Part::Tracker].into_iter().chain(senders).collect()
        }
    }
}

fn command(program: Option<&PathBuf>, subcommand: &str, corner: Option<&Corner>, setup: &Setup) -> Builder {
    let mut command = Whimbrel::command(subcommand)
        .env("WHIMBREL_ADMIN_KEY", ADMIN_KEY)
        .env("WHIMBREL_SECRETS__KEYS", RING)
        .env("WHIMBREL_EGRESS__ALLOW_HTTP", "true")
        .env("WHIMBREL_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8");
    if let Some(program) = program {
        command = command.program(program);
    }
    if let Some(corner) = corner {
        command = command.env("WHIMBREL_DATABASE_URL", corner.database_url());
        command = command.env("WHIMBREL_AMQP_URL", corner.vhost().amqp_url());
    }
    // So that the cost of traces can be measured: `OTEL_EXPORTER_OTLP_ENDPOINT=… OTEL_TRACES_SAMPLER=… make bench`.
    let traced = std::env::vars().filter(|(name, _)| name.starts_with("OTEL_"));
    let command = traced.fold(command, |command, (name, value)| command.env(&name, value));
    setup.variables.iter().fold(command, |command, (name, value)| command.env(name, value.clone()))
}

/// Brings the schema of a database up to date.
///
/// # Errors
/// When the command fails; the message is what it wrote.
pub async fn migrate(program: Option<&PathBuf>, database_url: &str) -> Result<()> {
    let setup = Setup { variables: vec![("WHIMBREL_DATABASE_URL", database_url.to_owned())], ..Setup::default() };
    finish(command(program, "migrate", None, &setup)).await
}

async fn finish(command: Builder) -> Result<()> {
    let mut process = command.start()?;
    let status = process.exited(SOON).await?;
    ensure!(status.success(), "{status}: {}", process.lines().join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_a_secret_of_its_own() {
        assert_eq!(secret(7).len(), 32);
        assert_ne!(secret(1), secret(10_000));
    }
}
