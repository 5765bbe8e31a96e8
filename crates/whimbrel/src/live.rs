//! What SIGHUP changes in a running process: contracts and the level of the log.

mod router;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tracing::{error, info, warn};
use whimbrel_core::contract::{ContractSet, Contracts};
use whimbrel_core::port::{Page, Store};
use whimbrel_core::tier::Tiers;

use crate::config::Config;
use crate::engine::{self, Engine};
use crate::wiring::{self, Parts};

pub(crate) use router::LiveRouter;

/// How long store and broker may take to say whether they agree.
const PATIENCE: Duration = Duration::from_secs(15);
/// Tenants read at once.
const TENANTS: u32 = 500;

/// What is in force, and what was configured at the start.
pub(crate) struct Live {
    config: Config,
    contracts: Contracts,
    tiers: Arc<Tiers>,
    /// Of a process with that role.
    pub(crate) api: Option<LiveRouter>,
}

impl Live {
    /// `engine` is given where there is an API, and says whether its events may share messages.
    pub(crate) async fn new(parts: &Parts, engine: Option<&Engine>) -> anyhow::Result<Self> {
        let Parts { config, contracts, tiers, clock } = parts;
        let api = match engine {
            Some(engine) => {
                let event_packs = engine.event_packs().await?;
                Some(LiveRouter::new(engine::api_state(engine, config, &contracts.current(), clock, event_packs)))
            }
            None => None,
        };
        Ok(Self { config: config.clone(), contracts: contracts.clone(), tiers: tiers.clone(), api })
    }

    /// Reads contracts and configuration again. What is refused changes nothing, and the log says why.
    pub(crate) async fn reload(&self, engine: &Engine, load: impl FnOnce() -> anyhow::Result<Config>) {
        let result = match self.try_reload(engine, load).await {
            Ok(()) => "applied",
            Err(error) => {
                error!("the reload is refused, and what was in force stays: {error:#}");
                "refused"
            }
        };
        metrics::counter!("whimbrel_reloads_total", "result" => result).increment(1);
    }

    async fn try_reload(&self, engine: &Engine, load: impl FnOnce() -> anyhow::Result<Config>) -> anyhow::Result<()> {
        let config = load()?;
        let others: Vec<String> = self.config.changes(&config).into_iter().filter(|key| key != "log.level").collect();
        if !others.is_empty() {
            warn!(keys = others.join(", "), "these settings have changed, too, and need a restart");
        }
        // The folder of the start: another one is a setting that needs a restart.
        let contracts = engine::contracts(&self.config)?;
        let Ok(checked) = tokio::time::timeout(PATIENCE, self.check(engine, &contracts)).await else {
            bail!("store and broker did not say within {PATIENCE:?} whether the contracts fit");
        };
        let tiers = checked?;
        whimbrel_telemetry::set_level(&config.log.level)?;
        self.tiers.add(tiers.iter());
        let contracts = Arc::new(contracts);
        self.contracts.replace(contracts.clone());
        if let Some(api) = &self.api {
            api.replace(&contracts);
        }
        info!(contracts = contracts.iter().count(), level = config.log.level, "reloaded");
        Ok(())
    }

    /// Whether everything that is there can go on with these contracts. Gives their tiers.
    async fn check(&self, engine: &Engine, contracts: &ContractSet) -> anyhow::Result<Tiers> {
        wiring::check_retention(&self.config, contracts)?;
        wiring::default_contract(&self.config, contracts)?;
        self.check_tenants(&*engine.store, contracts).await?;
        let tiers = Tiers::new(contracts.distinct_delays());
        engine.has_tiers(&tiers).await.context("a contract's delay has no queue")?;
        Ok(tiers)
    }

    /// No tenant may lose its contract.
    async fn check_tenants(&self, store: &dyn Store, contracts: &ContractSet) -> anyhow::Result<()> {
        let (before, mut after) = (self.contracts.current(), None);
        let gone: BTreeSet<_> =
            before.iter().map(|contract| contract.name()).filter(|name| contracts.get(name).is_none()).collect();
        while !gone.is_empty() {
            let tenants = store.tenants(Page { after, limit: TENANTS }).await?;
            for tenant in &tenants {
                ensure!(
                    !gone.contains(&tenant.contract),
                    "the contract `{}` is not there any more, and the tenant `{}` has it",
                    tenant.contract,
                    tenant.id
                );
            }
            match tenants.last() {
                Some(last) => after = Some(last.id.clone()),
                None => break,
            }
        }
        Ok(())
    }
}
