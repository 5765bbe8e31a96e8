//! `whimbrel export`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use whimbrel_core::TenantId;
use whimbrel_core::port::{Clock, Page, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::tier::Tiers;

use super::PAGE;
use super::drain::{self, Rules};
use super::line::{Counts, FORMAT, Header, Line};
use super::owned::{EndpointLine, EventTypeLine};
use crate::config::Config;
use crate::engine::{self, Engine};
use crate::keys;

/// Events read at once; each comes with its deliveries and their attempts.
const EVENTS: u32 = 50;

/// Writes everything that the configured engine keeps as JSON Lines, for an import on another engine.
///
/// Stop every `whimbrel serve` of the source first. Events and outcomes that still wait in its queues are worked off
/// before the export begins; nothing is sent. Secrets and headers stay sealed under the source's key.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The file to write, which must not exist; standard output when left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(args: ExportArgs, config: Config) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = keys::ring(&config, &*clock)?;
    let contracts = Arc::new(engine::contracts(&config)?);
    let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
    let engine = engine::open(&config, &tiers, &clock)
        .await
        .context("the source cannot be opened (an export needs it for itself: stop its servers first)")?;
    engine.check().await?;
    let rules = Rules { config, contracts, tiers, clock };
    let written = write(&engine, &rules, &ring, args.out.as_deref()).await;
    engine.queue.close().await;
    engine.store.close().await;
    for (kind, count) in written?.named() {
        eprintln!("{kind}: {count}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn write(engine: &Engine, rules: &Rules, ring: &KeyRing, file: Option<&Path>) -> anyhow::Result<Counts> {
    drain::drain(engine, rules).await?;
    let mut export = Export { store: &*engine.store, ring, clock: &*rules.clock, out: Lines::create(file)? };
    let counts = export.all().await?;
    stays_behind(engine).await?;
    Ok(counts)
}

/// Where the lines go.
struct Lines {
    out: Box<dyn Write>,
    counts: Counts,
}

impl Lines {
    fn create(file: Option<&Path>) -> anyhow::Result<Self> {
        let out: Box<dyn Write> = match file {
            Some(path) => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                Box::new(BufWriter::new(file.with_context(|| format!("{} cannot be made", path.display()))?))
            }
            None => Box::new(BufWriter::new(std::io::stdout())),
        };
        Ok(Self { out, counts: Counts::default() })
    }

    fn put(&mut self, line: &Line) -> anyhow::Result<()> {
        self.counts.add(line);
        serde_json::to_writer(&mut self.out, line).context("the export cannot be written")?;
        self.out.write_all(b"\n").context("the export cannot be written")
    }

    fn finish(&mut self) -> anyhow::Result<Counts> {
        self.put(&Line::End(self.counts))?;
        self.out.flush().context("the export cannot be written")?;
        Ok(self.counts)
    }
}

/// An export under way.
struct Export<'a> {
    store: &'a dyn Store,
    ring: &'a KeyRing,
    clock: &'a dyn Clock,
    out: Lines,
}

impl Export<'_> {
    async fn all(&mut self) -> anyhow::Result<Counts> {
        self.out.put(&Line::Header(Header {
            format: FORMAT,
            whimbrel: env!("CARGO_PKG_VERSION").to_owned(),
            exported_at: self.clock.now(),
        }))?;
        self.keys(None).await?;
        self.tenants().await?;
        self.idempotency_keys().await?;
        self.events().await?;
        self.out.finish()
    }

    async fn tenants(&mut self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let tenants = self.store.tenants(Page { after, limit: PAGE }).await?;
            let Some(last) = tenants.last().map(|tenant| tenant.id.clone()) else { return Ok(()) };
            for tenant in tenants {
                let id = tenant.id.clone();
                self.out.put(&Line::Tenant(tenant.into()))?;
                self.keys(Some(&id)).await?;
                self.event_types(&id).await?;
                self.endpoints(&id).await?;
            }
            after = Some(last);
        }
    }

    async fn keys(&mut self, tenant: Option<&TenantId>) -> anyhow::Result<()> {
        let keys = self.store.keys(tenant).await?;
        keys.into_iter().try_for_each(|key| self.out.put(&Line::Key(key.into())))
    }

    async fn event_types(&mut self, tenant: &TenantId) -> anyhow::Result<()> {
        let rows = self.store.event_types(tenant).await?;
        rows.into_iter().try_for_each(|row| self.out.put(&Line::EventType(EventTypeLine::new(tenant.clone(), row))))
    }

    async fn endpoints(&mut self, tenant: &TenantId) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let endpoints = self.store.endpoints_of(tenant, Page { after, limit: PAGE }).await?;
            let Some(last) = endpoints.last().map(|endpoint| endpoint.id) else { return Ok(()) };
            for endpoint in endpoints {
                self.out.put(&Line::Endpoint(EndpointLine::seal(endpoint, self.ring, self.clock)))?;
            }
            after = Some(last);
        }
    }

    async fn idempotency_keys(&mut self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let keys = self.store.keys_page(Page { after, limit: PAGE }).await?;
            let Some(last) = keys.last().map(|key| (key.tenant.clone(), key.key_hash)) else { return Ok(()) };
            keys.into_iter().try_for_each(|key| self.out.put(&Line::IdempotencyKey(key.into())))?;
            after = Some(last);
        }
    }

    async fn events(&mut self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let events = self.store.log_page(Page { after, limit: EVENTS }).await?;
            let Some(last) = events.last().map(|logged| logged.event.id) else { return Ok(()) };
            events.into_iter().try_for_each(|event| self.out.put(&Line::Event(event.into())))?;
            after = Some(last);
        }
    }
}

/// Says what an export does not hold.
async fn stays_behind(engine: &Engine) -> anyhow::Result<()> {
    let parked = drain::parked(&*engine.queue).await?;
    if parked > 0 {
        eprintln!("whimbrel: parked messages, which stay behind: {parked}");
    }
    let replays = engine.store.running_replays(Page { after: None, limit: PAGE }).await?;
    for replay in replays {
        eprintln!(
            "whimbrel: the {} {} of {} was running and stays behind; what it had not taken yet waits as it is",
            replay.kind.as_str(),
            replay.id,
            replay.endpoint
        );
    }
    Ok(())
}
