//! `whimbrel migrate`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use secrecy::ExposeSecret;
use whimbrel_core::port::{Clock, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_postgres::PostgresStore;

use crate::config::Config;

/// Brings PostgreSQL's schema up to this version; the embedded engine does so when it opens its file.
pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let Some(url) = &config.database_url else {
        bail!("database_url is not set: the embedded engine migrates its file by itself at every start")
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // No secret is read or written here, so the job that migrates needs none of the keys.
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
    let store = PostgresStore::connect(url.expose_secret(), config.postgres(), ring, clock).await?;
    store.migrate().await?;
    println!("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
