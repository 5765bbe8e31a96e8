//! The two engines behind the ports: chosen by the configuration, and nowhere else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};
use whimbrel_core::contract::ContractSet;
use whimbrel_core::port::{Clock, Parking, Queue, QueueError, Store, SystemClock};
use whimbrel_core::tier::Tiers;
use whimbrel_postgres::PostgresStore;
use whimbrel_rabbitmq::{RabbitParking, RabbitQueue};

use crate::config::Config;
use crate::keys;

/// A store and a queue.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    /// What could not be processed.
    pub(crate) parking: Arc<dyn Parking>,
    /// The distributed engine's servers, whose schema and topology are not this process's to change; `None` when
    /// embedded.
    servers: Option<(Arc<PostgresStore>, Arc<RabbitQueue>)>,
}

impl Engine {
    pub(crate) fn is_embedded(&self) -> bool {
        self.servers.is_none()
    }

    /// Waits for servers that are away; fails when the schema does not fit this binary, or when the topology lacks
    /// something that its contracts need, a delay's queue say (rule 26).
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let Some((postgres, rabbitmq)) = &self.servers else { return Ok(()) };
        postgres.check_schema().await?;
        let mut said = false;
        loop {
            match rabbitmq.exists().await {
                Ok(()) => return Ok(()),
                Err(error @ QueueError::Fatal(_)) => return Err(error.into()),
                Err(error) if !std::mem::replace(&mut said, true) => {
                    warn!(%error, "the broker does not answer yet; waiting for it");
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

impl Engine {
    /// How far apart packs of events are worth it. `None` where events go alone: on the embedded engine, whose commits are
    /// shared by all anyway, and while a process beside this one may not know packs, during a rolling upgrade.
    pub(crate) async fn event_packs(&self) -> anyhow::Result<Option<Duration>> {
        match &self.servers {
            // The broker writes its log for each.
            Some((postgres, _)) => Ok(postgres.all_read_packs().await?.then_some(Duration::from_millis(3))),
            None => Ok(None),
        }
    }

    /// Fails when the broker lacks a tier's queue (rule 26). The embedded engine needs none.
    pub(crate) async fn has_tiers(&self, tiers: &Tiers) -> anyhow::Result<()> {
        match &self.servers {
            Some((_, rabbitmq)) => Ok(rabbitmq.has_tiers(tiers).await?),
            None => Ok(()),
        }
    }
}

/// Where the distributed engine is.
pub(crate) struct Urls<'a> {
    pub(crate) database: &'a SecretString,
    pub(crate) amqp: &'a SecretString,
}

impl Config {
    /// The distributed engine's servers; `None` means embedded.
    ///
    /// # Errors
    /// When only one of the two is set.
    pub(crate) fn distributed(&self) -> anyhow::Result<Option<Urls<'_>>> {
        match (&self.database_url, &self.amqp_url) {
            (Some(database), Some(amqp)) => Ok(Some(Urls { database, amqp })),
            (None, None) => Ok(None),
            _ => anyhow::bail!(
                "database_url and amqp_url go together: set both for the distributed engine, or neither for the embedded one"
            ),
        }
    }
}

/// The built-in contracts and the deployment's own, scaled.
pub(crate) fn contracts(config: &Config) -> anyhow::Result<ContractSet> {
    let files = match &config.contracts_dir {
        Some(dir) => files(dir, dir).with_context(|| format!("contracts_dir {}", dir.display()))?,
        None => Vec::new(),
    };
    Ok(ContractSet::load(files)?.scaled(config.retry_scale))
}

/// The contracts and samples below `dir`, named relative to `root`.
fn files(root: &Path, dir: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))? {
        let entry = entry?;
        // The folders behind a Kubernetes ConfigMap's files.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            files.extend(self::files(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.push((name, text));
        }
    }
    files.sort();
    Ok(files)
}

/// Opens the configured engine.
pub(crate) async fn open(config: &Config, tiers: &Tiers, clock: &Arc<dyn Clock>) -> anyhow::Result<Engine> {
    let urls = config.distributed()?;
    let ring = Arc::new(keys::ring(config, &**clock)?);
    let Some(urls) = urls else {
        let options = whimbrel_sqlite::Options::default();
        let engine = whimbrel_sqlite::Engine::open(&config.data_dir, options, ring, clock.clone()).await?;
        info!(data_dir = %config.data_dir.display(), "embedded engine");
        return Ok(Engine { store: engine.store(), queue: engine.queue(), parking: engine.parking(), servers: None });
    };
    let store = PostgresStore::connect(urls.database.expose_secret(), config.postgres(), ring, clock.clone()).await?;
    let options = whimbrel_rabbitmq::Options {
        url: urls.amqp.expose_secret().to_owned(),
        role: "whimbrel".into(),
        name_user: config.amqp.tenant_from_user_id,
    };
    let redrive_url = config.amqp.redrive_url.as_ref().unwrap_or(urls.amqp).expose_secret().to_owned();
    let parking = RabbitParking::new(&whimbrel_rabbitmq::Options { url: redrive_url, ..options.clone() })?;
    let queue = RabbitQueue::connect(options, tiers.clone(), clock.clone()).await?;
    info!("distributed engine");
    let store = Arc::new(store);
    let parking = Arc::new(parking);
    Ok(Engine { store: store.clone(), queue: queue.clone(), parking, servers: Some((store, queue)) })
}

/// What the API needs of engine and configuration.
pub(crate) fn api_state(
    engine: &Engine,
    config: &Config,
    contracts: &Arc<ContractSet>,
    clock: &Arc<dyn Clock>,
    event_packs: Option<Duration>,
) -> whimbrel_api::ApiState {
    let key = config.admin_key.as_ref().map(ExposeSecret::expose_secret);
    let settings = whimbrel_api::Settings {
        allow_http: config.egress.allow_http,
        allow_networks: config.egress.allow_networks.clone(),
        retention: config.retention,
        ..whimbrel_api::Settings::new(key)
    };
    whimbrel_api::ApiState {
        store: engine.store.clone(),
        outlet: whimbrel_api::Outlet::new(engine.queue.publisher(), clock.clone(), event_packs),
        parking: engine.parking.clone(),
        contracts: contracts.clone(),
        clock: clock.clone(),
        settings: Arc::new(settings),
        memory: Arc::default(),
    }
}

/// Health and metrics.
pub(crate) fn ops_router(engine: &Engine, metrics: impl Fn() -> String + Send + Sync + 'static) -> axum::Router {
    whimbrel_api::ops_router(whimbrel_api::OpsState {
        store: engine.store.clone(),
        queue: engine.queue.clone(),
        clock: Arc::new(SystemClock),
        metrics: Arc::new(metrics),
    })
}
