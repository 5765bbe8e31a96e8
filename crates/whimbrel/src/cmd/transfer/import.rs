//! `whimbrel import`.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::port::{ApiKey, Clock, LoggedEvent, Page, Store, StoredKey, SystemClock};
use whimbrel_core::sealing::{KeyRing, SealError};
use whimbrel_core::tenant::Tenant;
use whimbrel_core::{TenantId, Timestamp};

use super::PAGE;
use super::event::EventLine;
use super::line::{Counts, FORMAT, Header, Line};
use super::owned::{EndpointLine, EventTypeLine, IdempotencyLine, KeyLine, TenantLine};
use crate::cmd::shared::open_store;
use crate::config::Config;
use crate::engine;
use crate::keys;

/// Bytes of events written in one transaction, unless a single one is larger.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Reads what an export wrote into the configured engine.
///
/// What is there already stays as it is, so an import that was cut short is simply repeated. Deliveries that were
/// waiting for an attempt are published by the tracker's next sweeps. `secrets.keys` must name the source's key, behind
/// the target's own.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file to read; standard input when left out.
    #[arg(long = "in", value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) async fn run(args: ImportArgs, config: Config) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = keys::ring(&config, &*clock)?;
    let contracts = engine::contracts(&config)?;
    let mut lines = Lines::open(args.file.as_deref())?;
    lines.header()?;
    let store = open_store(&config, &clock).await?;
    let mut import = Import::new(&*store, &ring, &contracts, clock.now());
    let done = import.all(&mut lines).await.with_context(|| format!("line {} of the export", lines.number));
    let (read, new) = (import.read, import.new);
    store.close().await;
    done?;
    for ((kind, read), (_, new)) in read.named().into_iter().zip(new.named()) {
        println!("{kind}: {read}, new: {new}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Lines as they come, one in memory at a time.
struct Lines {
    input: Box<dyn BufRead>,
    text: String,
    number: u64,
}

impl Lines {
    fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let input: Box<dyn BufRead> = match file {
            Some(path) => {
                let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
                Box::new(BufReader::new(file))
            }
            None => Box::new(BufReader::new(std::io::stdin())),
        };
        Ok(Self { input, text: String::new(), number: 0 })
    }

    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        self.text.clear();
        self.number += 1;
        if self.input.read_line(&mut self.text).context("the export cannot be read")? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&self.text).context("not a line of an export that this version knows")?))
    }

    fn header(&mut self) -> anyhow::Result<()> {
        let line = self.next().context("this is no export: its first line is no header")?;
        let Some(Line::Header(Header { format, whimbrel, .. })) = line else {
            bail!("this is no export: its first line is no header")
        };
        ensure!(
            format == FORMAT,
            "this export has format {format}, written by whimbrel {whimbrel}; this binary reads format {FORMAT}"
        );
        Ok(())
    }
}

/// An import under way.
struct Import<'a> {
    store: &'a dyn Store,
    ring: &'a KeyRing,
    contracts: &'a ContractSet,
    now: Timestamp,
    read: Counts,
    new: Counts,
    events: Vec<LoggedEvent>,
    event_bytes: usize,
    keys: Vec<StoredKey>,
    /// Erasures begin when the events are there.
    erase: Vec<(TenantId, Timestamp)>,
}

impl<'a> Import<'a> {
    fn new(store: &'a dyn Store, ring: &'a KeyRing, contracts: &'a ContractSet, now: Timestamp) -> Self {
        let (read, new) = (Counts::default(), Counts::default());
        Self {
            store,
            ring,
            contracts,
            now,
            read,
            new,
            events: Vec::new(),
            event_bytes: 0,
            keys: Vec::new(),
            erase: Vec::new(),
        }
    }

    async fn all(&mut self, lines: &mut Lines) -> anyhow::Result<()> {
        while let Some(line) = lines.next()? {
            self.read.add(&line);
            match line {
                Line::Header(_) => bail!("a header in the middle: two exports in one file"),
                Line::Tenant(line) => self.tenant(line).await?,
                Line::Key(line) => self.key(line).await?,
                Line::EventType(line) => self.event_type(line).await?,
                Line::Endpoint(line) => self.endpoint(line).await?,
                Line::IdempotencyKey(line) => self.idempotency_key(line).await?,
                Line::Event(line) => self.event(line).await?,
                Line::End(counts) => return self.end(counts).await,
            }
        }
        bail!("the export ends before its last line: it was cut off")
    }

    async fn tenant(&mut self, line: TenantLine) -> anyhow::Result<()> {
        let mut tenant = Tenant::from(line);
        ensure!(
            self.contracts.get(&tenant.contract).is_some(),
            "the tenant `{}` has the contract `{}`, which is not loaded here: set contracts_dir as at the source",
            tenant.id,
            tenant.contract
        );
        self.erase.extend(tenant.erasing_before.take().map(|before| (tenant.id.clone(), before)));
        if self.store.create_tenant(&tenant).await? {
            self.new.tenants += 1;
            return Ok(());
        }
        // `default` is there from the first start. A tenant that has endpoints was imported before, or is in use.
        if self.store.endpoints_of(&tenant.id, Page { after: None, limit: 1 }).await?.is_empty() {
            self.store.update_tenant(&tenant).await?;
        }
        let stored = self.store.tenant(&tenant.id).await?.context("the tenant was deleted meanwhile")?;
        ensure!(
            stored.contract == tenant.contract,
            "the tenant `{}` exists with endpoints under the contract `{}`, not `{}`",
            tenant.id,
            stored.contract,
            tenant.contract
        );
        Ok(())
    }

    async fn key(&mut self, line: KeyLine) -> anyhow::Result<()> {
        let key = ApiKey::from(line);
        if self.store.key_by_hash(&key.hash).await?.is_none() {
            self.store.create_key(&key).await?;
            self.new.keys += 1;
        }
        Ok(())
    }

    async fn event_type(&mut self, line: EventTypeLine) -> anyhow::Result<()> {
        let tenant = line.tenant.clone();
        let row = line.into_row();
        let known = self.store.event_types(&tenant).await?;
        if known.iter().all(|known| known.event_type != row.event_type) {
            self.new.event_types += u64::from(self.store.put_event_type(&tenant, &row).await?);
        }
        Ok(())
    }

    async fn endpoint(&mut self, line: EndpointLine) -> anyhow::Result<()> {
        let endpoint = line.open(self.ring).map_err(with_advice)?;
        if self.store.endpoint(&endpoint.tenant, endpoint.id).await?.is_none() {
            self.new.endpoints += u64::from(self.store.create_endpoint(&endpoint, None).await?);
        }
        Ok(())
    }

    async fn idempotency_key(&mut self, line: IdempotencyLine) -> anyhow::Result<()> {
        self.keys.push(line.into());
        if self.keys.len() >= PAGE as usize { self.flush_keys().await } else { Ok(()) }
    }

    async fn event(&mut self, line: EventLine) -> anyhow::Result<()> {
        self.event_bytes += line.bytes();
        self.events.push(line.try_into()?);
        let full = self.events.len() >= PAGE as usize || self.event_bytes >= BATCH_BYTES;
        if full { self.flush_events().await } else { Ok(()) }
    }

    async fn flush_keys(&mut self) -> anyhow::Result<()> {
        self.store.load_keys(&self.keys).await?;
        self.keys.clear();
        Ok(())
    }

    /// The jobs of deliveries that are under way stayed behind, so the sweep may have them at once.
    async fn flush_events(&mut self) -> anyhow::Result<()> {
        self.new.events += self.store.load_log(&self.events, self.now).await?;
        self.events.clear();
        self.event_bytes = 0;
        Ok(())
    }

    async fn end(&mut self, counts: Counts) -> anyhow::Result<()> {
        ensure!(counts == self.read, "the export says that it has {counts:?}, and has {:?}: it is damaged", self.read);
        self.flush_keys().await?;
        self.flush_events().await?;
        for (tenant, before) in &self.erase {
            self.store.erase_tenant(tenant, *before).await?;
        }
        Ok(())
    }
}

fn with_advice(error: SealError) -> anyhow::Error {
    let unknown = matches!(error, SealError::UnknownKey { .. });
    let error = anyhow::Error::from(error);
    if !unknown {
        return error;
    }
    error.context(
        "secrets.keys must name the source's key, behind the target's own \
         (of an embedded source, what its data directory has in secrets.key)",
    )
}
