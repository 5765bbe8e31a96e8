//! `whimbrel prune`: retention by the owner of the tables.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use whimbrel_core::Timestamp;
use whimbrel_core::port::{Clock, Store, StoreError, SystemClock, Upkeep};

use super::shared::open_keyless;
use crate::config::Config;

/// Deliveries that one transaction brings to their end.
const EXPIRE_MAX: u32 = 1_000;

/// Removes from PostgreSQL what is older than the retention period.
///
/// The tracker does so by itself where it may drop tables. Where the services connect as a role that does not own them,
/// run this once a day as their owner. It needs database_url, but none of the keys.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Remove what is older than this; `retention` when left out.
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    before: Option<Duration>,
}

pub(crate) async fn run(args: PruneArgs, config: Config) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        config.database_url.is_some(),
        "database_url is not set (WHIMBREL_DATABASE_URL): the embedded engine removes what is too old while it runs"
    );
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = open_keyless(&config, &clock).await?;
    let now = clock.now();
    let before = now.before(args.before.unwrap_or(config.retention));
    let gone = prune(&store, before, now).await;
    store.close().await;
    let (expired, days) = gone?;
    println!(
        "older than {before}: deliveries that still waited and are expired now: {expired}; days of the log removed: {days}"
    );
    Ok(ExitCode::SUCCESS)
}

/// Deliveries that still wait are brought to their end before their day goes (rule 28).
async fn prune(upkeep: &impl Upkeep, before: Timestamp, now: Timestamp) -> Result<(u64, u64), StoreError> {
    let mut expired = 0;
    loop {
        match upkeep.expire(before, now, EXPIRE_MAX).await? {
            0 => break,
            more => expired += more,
        }
    }
    let mut days = 0;
    loop {
        let pruned = upkeep.prune(before, now).await?;
        days += pruned.removed;
        if !pruned.more {
            return Ok((expired, days));
        }
    }
}
