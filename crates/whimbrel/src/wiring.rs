//! Roles over one engine: the same wiring for one process with every role and for many with one each.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use whimbrel_core::contract::{ContractName, ContractSet, Contracts};
use whimbrel_core::port::{ApiKey, Clock, SystemClock};
use whimbrel_core::tenant::Tenant;
use whimbrel_core::tier::Tiers;
use whimbrel_core::{KeyId, TenantId};
use whimbrel_telemetry::Metrics;

use crate::config::Config;
use crate::engine::{self, Engine};
use crate::gauges::Gauges;
use crate::keys;
use crate::live::Live;
use crate::measured::{Dues, Measured};
use crate::serving::{self, Bounds, serve_until};

/// A part of Whimbrel that can be a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Management API and event intake over HTTP.
    Api,
    /// Fans events out.
    Ingest,
    /// Signs and POSTs.
    Sender,
    /// Keeps the log, decides retries and suspensions.
    Tracker,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Ingest, Self::Sender, Self::Tracker];

    /// Who sends the spans of a process with these roles.
    pub(crate) fn service(roles: &[Self], config: &Config) -> anyhow::Result<whimbrel_telemetry::Service> {
        let messaging_system = if config.distributed()?.is_some() { "rabbitmq" } else { "sqlite" };
        let name = match roles {
            [role] => format!("whimbrel-{}", role.exporting().as_str()),
            _ => "whimbrel".to_owned(),
        };
        Ok(whimbrel_telemetry::Service { name, messaging_system })
    }

    /// The same as the table of metrics has it.
    fn exporting(self) -> whimbrel_telemetry::Role {
        match self {
            Self::Api => whimbrel_telemetry::Role::Api,
            Self::Ingest => whimbrel_telemetry::Role::Ingest,
            Self::Sender => whimbrel_telemetry::Role::Sender,
            Self::Tracker => whimbrel_telemetry::Role::Tracker,
        }
    }
}

/// A running process.
pub(crate) struct Running {
    /// Where the API listens, when this process has that role.
    pub(crate) api_addr: Option<SocketAddr>,
    /// Where health and metrics are.
    pub(crate) ops_addr: SocketAddr,
    /// The admin key, when this process knows it: configured, made, or kept in the data directory.
    pub(crate) admin_key: Option<String>,
    /// The same, when it was made just now and nobody has seen it yet.
    pub(crate) new_admin_key: Option<String>,
    /// What a reload may change.
    pub(crate) live: Live,
    pub(crate) engine: Engine,
    stop: CancellationToken,
    /// Stops last: health must answer while the others wind down.
    stop_ops: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    ops: tokio::task::JoinHandle<()>,
}

/// Starts the roles. Waits for a store that is away; gives up on what cannot heal.
pub(crate) async fn start(config: Config, roles: &[Role]) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let contracts = Arc::new(engine::contracts(&config)?);
    check_retention(&config, &contracts)?;
    let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
    let ops_listener = listen(config.ops_listen, "ops_listen")?;
    let api_listener = if roles.contains(&Role::Api) { Some(listen(config.listen, "listen")?) } else { None };
    let mut engine = engine::open(&config, &tiers, &clock).await?;
    let dues = Arc::new(Dues::new());
    engine.queue = Arc::new(Measured::new(engine.queue, dues.clone()));
    let stop = CancellationToken::new();
    let stop_ops = CancellationToken::new();
    let ops_addr = ops_listener.local_addr()?;
    let ops_routes = ops_router(&engine, roles);
    let ops = serve_until(ops_listener, move || ops_routes.clone(), Bounds::default(), stop_ops.clone());
    let ops = tokio::spawn(ops);
    engine.check().await?;
    prepare(&engine, &config, &contracts, &clock).await?;
    let (admin_key, new_admin_key) = admin_key(&engine, &config, &clock, roles).await?;
    let parts = Parts { config, contracts: Contracts::new(contracts), tiers, clock };
    let mut running = Running {
        live: Live::new(&parts, api_listener.as_ref().map(|_| &engine)).await?,
        api_addr: api_listener.as_ref().map(TcpListener::local_addr).transpose()?,
        ops_addr,
        admin_key,
        new_admin_key,
        engine,
        stop,
        stop_ops,
        tasks: JoinSet::new(),
        ops,
    };
    running.spawn_gauges(dues, &parts, roles);
    for role in roles {
        running.spawn(*role, &parts)?;
    }
    if let Some(listener) = api_listener {
        running.spawn_api(listener);
    }
    Ok(running)
}

/// What every role is made of, besides the engine.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) contracts: Contracts,
    pub(crate) tiers: Arc<Tiers>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Running {
    /// Resolves when a role has ended by itself: with why.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return anyhow!("a role failed: {error}"),
                Some(Ok(Ok(()))) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Stops taking work, finishes or hands back what is in hand, closes the engine.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            result = result.and(ended.map_err(Into::into).and_then(std::convert::identity));
        }
        self.engine.queue.close().await;
        self.engine.store.close().await;
        self.stop_ops.cancel();
        if tokio::time::timeout(Duration::from_secs(1), &mut self.ops).await.is_err() {
            self.ops.abort();
        }
        result
    }

    fn spawn(&mut self, role: Role, parts: &Parts) -> anyhow::Result<()> {
        let stop = self.stop.clone();
        let (store, queue) = (self.engine.store.clone(), self.engine.queue.clone());
        let (contracts, tiers, clock) = (parts.contracts.clone(), parts.tiers.clone(), parts.clock.clone());
        match role {
            Role::Api => {}
            Role::Ingest => {
                let retention = parts.config.retention;
                let sweep_grace = parts.config.tracker.sweep_grace;
                let publishers = publishers(&parts.config);
                let tenant_budget = parts.config.ingest.tenant_budget;
                let ingest = whimbrel_ingest::Ingest {
                    store,
                    queue,
                    contracts,
                    clock,
                    retention,
                    sweep_grace,
                    publishers,
                    tenant_budget,
                };
                self.task("ingest", whimbrel_ingest::run(ingest, stop));
            }
            Role::Sender => {
                let (config, egress) = sender(&parts.config)?;
                let sender =
                    whimbrel_sender::Sender { store, queue, contracts, tiers, clock, egress: Arc::new(egress), config };
                self.task("sender", whimbrel_sender::run(sender, stop));
            }
            Role::Tracker => {
                let sweep_grace = parts.config.tracker.sweep_grace;
                let tracker = whimbrel_tracker::Tracker { store, queue, contracts, tiers, clock, sweep_grace };
                let parking = self.engine.parking.clone();
                let duty = whimbrel_tracker::run_duty(tracker.clone(), parking, duties(&parts.config), stop.clone());
                self.task("tracker", whimbrel_tracker::run(tracker, stop));
                self.task("tracker's duties", async {
                    duty.await;
                    Ok::<(), anyhow::Error>(())
                });
            }
        }
        Ok(())
    }

    fn task<E: Into<anyhow::Error>>(
        &mut self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { task.await.map_err(|error| error.into().context(format!("the {name} cannot go on"))) });
    }

    fn spawn_gauges(&mut self, dues: Arc<Dues>, parts: &Parts, roles: &[Role]) {
        let (store, queue) = (self.engine.store.clone(), self.engine.queue.clone());
        let gauges = Gauges { store, queue, dues, tiers: parts.tiers.clone(), roles: roles.to_vec() };
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            gauges.run(stop).await;
            Ok(())
        });
    }

    fn spawn_api(&mut self, listener: TcpListener) {
        let Some(live) = self.live.api.clone() else { return };
        let serving = serve_until(listener, move || live.routes(), Bounds::default(), self.stop.clone());
        self.tasks.spawn(async move {
            serving.await;
            Ok(())
        });
    }
}

/// Whom ingest takes a publisher's word from, over AMQP.
pub(crate) fn publishers(config: &Config) -> whimbrel_ingest::Publishers {
    if config.amqp.tenant_from_user_id {
        whimbrel_ingest::Publishers::Named { trusted: config.amqp.trusted_users.clone() }
    } else {
        whimbrel_ingest::Publishers::Trusted
    }
}

/// How the tracker's duties are paced.
pub(crate) fn duties(config: &Config) -> whimbrel_tracker::DutyConfig {
    whimbrel_tracker::DutyConfig {
        sweep_base: config.tracker.sweep_grace,
        window: config.tracker.window,
        retention: config.retention,
        upkeep_interval: config.tracker.upkeep_interval,
        ..whimbrel_tracker::DutyConfig::default()
    }
}

fn proxy(config: &Config) -> anyhow::Result<Option<url::Url>> {
    let Some(text) = &config.egress.proxy else { return Ok(None) };
    let url = text.expose_secret().parse::<url::Url>().ok().filter(|url| url.scheme() == "http" && url.has_host());
    url.map(Some).context("egress.proxy is not of the form http://user:password@host:port")
}

fn sender(config: &Config) -> anyhow::Result<(whimbrel_sender::SenderConfig, whimbrel_sender::EgressPolicy)> {
    let sizes = whimbrel_sender::SenderConfig {
        slots: [config.sender.live_slots, config.sender.slow_slots, config.sender.bulk_slots],
        endpoint_in_flight_max: config.sender.endpoint_in_flight,
        grace: config.sender.grace,
        traceparent: config.sender.traceparent,
    };
    let egress = whimbrel_sender::EgressPolicy {
        allow_http: config.egress.allow_http,
        allow_networks: config.egress.allow_networks.clone(),
        proxy: proxy(config)?,
    };
    Ok((sizes, egress))
}

fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    serving::listen(address).with_context(|| format!("cannot listen on {address} ({key}): is the port in use?"))
}

fn ops_router(engine: &Engine, roles: &[Role]) -> axum::Router {
    let roles: Vec<_> = roles.iter().map(|role| role.exporting()).collect();
    let metrics = Metrics::install(&roles);
    if let Some(metrics) = metrics.clone() {
        tokio::spawn(metrics.upkeep());
    }
    engine::ops_router(engine, move || metrics.as_ref().map(Metrics::render).unwrap_or_default())
}

/// Whatever may still be attempted or repeated must still be there (rule 28).
pub(crate) fn check_retention(config: &Config, contracts: &ContractSet) -> anyhow::Result<()> {
    let longest = contracts.iter().map(|contract| contract.retry().longest()).max().unwrap_or_default();
    let least = whimbrel_core::intake::IDEMPOTENCY_WINDOW + longest;
    anyhow::ensure!(
        config.retention >= least,
        "retention is {}, but idempotency keys and the longest retry schedule need {} at least",
        humantime::format_duration(config.retention),
        humantime::format_duration(least)
    );
    Ok(())
}

/// The tenant `default` exists from the first start. Waits for a store that is away.
async fn prepare(
    engine: &Engine,
    config: &Config,
    contracts: &ContractSet,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let contract = default_contract(config, contracts)?;
    let tenant = Tenant::new(TenantId::default(), contract, clock.now());
    until_answered("the database", || engine.store.create_tenant(&tenant)).await?;
    Ok(())
}

/// The contract of the tenant `default`, which must be loaded.
pub(crate) fn default_contract(config: &Config, contracts: &ContractSet) -> anyhow::Result<ContractName> {
    let contract = config.default_contract.parse()?;
    anyhow::ensure!(
        contracts.get(&contract).is_some(),
        "default_contract `{contract}` is none of the loaded contracts"
    );
    Ok(contract)
}

/// The configured key; else the stored one; else a new one.
async fn admin_key(
    engine: &Engine,
    config: &Config,
    clock: &Arc<dyn Clock>,
    roles: &[Role],
) -> anyhow::Result<(Option<String>, Option<String>)> {
    if let Some(key) = &config.admin_key {
        return Ok((Some(key.expose_secret().to_owned()), None));
    }
    if !roles.contains(&Role::Api) {
        return Ok((None, None));
    }
    let file = engine.is_embedded().then(|| config.data_dir.join(keys::ADMIN_KEY_FILE));
    if !until_answered("the database", || engine.store.keys(None)).await?.is_empty() {
        return Ok((file.and_then(|file| std::fs::read_to_string(file).ok()).map(|key| key.trim().to_owned()), None));
    }
    let made = |key: SecretString| key.expose_secret().to_owned();
    let key = match &file {
        Some(file) => keys::read_or_make(file, || made(keys::new_admin_key(&**clock)))?,
        None => made(keys::new_admin_key(&**clock)),
    };
    let row = ApiKey {
        id: KeyId::generate(clock.now(), clock.random10()),
        tenant: None,
        name: "first admin key".into(),
        hash: whimbrel_api::key_hash(&key),
        created_at: clock.now(),
        expires_at: None,
        last_used_at: None,
    };
    until_answered("the database", || engine.store.create_key(&row)).await?;
    Ok((Some(key.clone()), Some(key)))
}

/// Tries until the store answers, saying so once.
async fn until_answered<T, F>(what: &str, call: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, whimbrel_core::port::StoreError>>,
{
    use whimbrel_core::port::StoreError;
    let mut said = false;
    loop {
        match call().await {
            Ok(value) => return Ok(value),
            Err(error @ StoreError::Refused(_)) => return Err(error).with_context(|| format!("{what} cannot be used")),
            Err(error) => {
                if !std::mem::replace(&mut said, true) {
                    warn!(%error, "{what} does not answer yet; waiting for it");
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}
