//! `whimbrel migrate`.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use secrecy::ExposeSecret;
use whimbrel_core::port::{Clock, SystemClock};
use whimbrel_postgres::PostgresStore;

use crate::config::Config;
use crate::keys;

/// Brings PostgreSQL's schema up to this version; the embedded engine does so when it opens its file.
pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let Some(urls) = config.distributed() else {
        bail!("database_url and amqp_url are not set: the embedded engine migrates its file by itself at every start")
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = Arc::new(keys::ring(&config, &*clock)?);
    let store =
        PostgresStore::connect(urls.database.expose_secret(), whimbrel_postgres::Options::default(), ring, clock)
            .await?;
    store.migrate().await?;
    println!("the schema is up to date");
    Ok(ExitCode::SUCCESS)
}
