//! A store in a database of its own.

use std::sync::Arc;

use anyhow::Result;
use whimbrel_core::port::{Clock, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_postgres::{Options, PostgresStore};
use whimbrel_testkit::conformance::store::Fixture;
use whimbrel_testkit::postgres::{Database, database};

/// The store and its database.
pub(crate) struct Place {
    pub(crate) store: Arc<PostgresStore>,
    pub(crate) database: Database,
}

impl Fixture for Place {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

/// A store without a schema.
pub(crate) async fn connect(database: &Database) -> Result<Arc<PostgresStore>> {
    connect_to(database.url()).await
}

/// A store whose sessions have this setting.
pub(crate) async fn connect_with(database: &Database, setting: &str) -> Result<Arc<PostgresStore>> {
    let separator = if database.url().contains('?') { '&' } else { '?' };
    connect_to(&format!("{}{separator}options[{}", database.url(), setting.replacen('=', "]=", 1))).await
}

async fn connect_to(url: &str) -> Result<Arc<PostgresStore>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
    Ok(Arc::new(PostgresStore::connect(url, Options::default(), ring, clock).await?))
}

/// A store with its schema.
pub(crate) async fn place() -> Result<Place> {
    let database = database().await?;
    let store = connect(&database).await?;
    store.migrate().await?;
    Ok(Place { store, database })
}
