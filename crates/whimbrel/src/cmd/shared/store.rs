//! The store alone, for commands that need no queue.

use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use whimbrel_core::port::{Clock, Store};
use whimbrel_core::sealing::KeyRing;
use whimbrel_postgres::PostgresStore;

use crate::config::Config;
use crate::keys;

/// The configured store, its schema checked: `PostgreSQL` when `database_url` is set, else the data directory, which no
/// server may hold.
///
/// # Errors
/// When it does not answer, is in use by another process, or has another version's schema.
pub(crate) async fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn Store>> {
    let ring = Arc::new(keys::ring(config, &**clock)?);
    if config.database_url.is_some() {
        return Ok(Arc::new(answering(postgres(config, ring, clock).await?).await?));
    }
    let options = whimbrel_sqlite::Options::default();
    let engine = whimbrel_sqlite::Engine::open(&config.data_dir, options, ring, clock.clone()).await?;
    engine.queue().close().await;
    Ok(engine.store())
}

/// `PostgreSQL` for what neither reads nor writes a secret: it needs the database's URL, but none of the keys.
///
/// # Errors
/// When there is no `database_url`, or the database does not answer or has another version's schema.
pub(crate) async fn open_keyless(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<PostgresStore> {
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&**clock))?);
    answering(postgres(config, ring, clock).await?).await
}

async fn postgres(config: &Config, ring: Arc<KeyRing>, clock: &Arc<dyn Clock>) -> anyhow::Result<PostgresStore> {
    let Some(url) = &config.database_url else { bail!("database_url is not set (WHIMBREL_DATABASE_URL)") };
    Ok(PostgresStore::connect(url.expose_secret(), config.postgres(), ring, clock.clone()).await?)
}

/// A command does not wait for a database that is away, as a server does: whoever typed it wants to know.
async fn answering(store: PostgresStore) -> anyhow::Result<PostgresStore> {
    store.ping().await.context("the database of database_url cannot be used")?;
    store.check_schema().await?;
    Ok(store)
}
