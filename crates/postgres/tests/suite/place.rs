//! A store in a database of its own.

use std::sync::Arc;

use anyhow::Result;
use whimbrel_core::port::{Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_postgres::{Options, PostgresStore};
use whimbrel_testkit::conformance::store::Fixture;
use whimbrel_testkit::postgres::{Database, database};

/// The store and its database.
pub(crate) struct Place {
    pub(crate) store: Arc<PostgresStore>,
    other: Arc<PostgresStore>,
    pub(crate) database: Database,
}

impl Fixture for Place {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn other(&self) -> Arc<dyn Store> {
        self.other.clone()
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
    connect_under(&ring()?, url).await
}

fn ring() -> Result<Arc<KeyRing>> {
    Ok(Arc::new(KeyRing::parse(&KeyRing::generate_entry(&SystemClock))?))
}

async fn connect_under(ring: &Arc<KeyRing>, url: &str) -> Result<Arc<PostgresStore>> {
    Ok(Arc::new(PostgresStore::connect(url, Options::default(), ring.clone(), Arc::new(SystemClock)).await?))
}

/// A store with its schema.
pub(crate) async fn place() -> Result<Place> {
    let database = database().await?;
    let ring = ring()?;
    let store = connect_under(&ring, database.url()).await?;
    store.migrate().await?;
    let other = connect_under(&ring, database.url()).await?;
    Ok(Place { store, other, database })
}
