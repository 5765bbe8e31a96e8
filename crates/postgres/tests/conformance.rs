//! The store's conformance suite on a real PostgreSQL, and what is PostgreSQL's own.

use std::sync::Arc;

use anyhow::Result;
use whimbrel_core::port::{Clock, Store, SystemClock};
use whimbrel_core::sealing::KeyRing;
use whimbrel_postgres::{OpenError, Options, PostgresStore};
use whimbrel_testkit::conformance::store::Fixture;
use whimbrel_testkit::postgres::{Database, database, psql};
use whimbrel_testkit::store_conformance;

struct Place {
    store: Arc<PostgresStore>,
    database: Database,
}

impl Fixture for Place {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

async fn connect(database: &Database) -> Result<Arc<PostgresStore>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ring = Arc::new(KeyRing::parse(&KeyRing::generate_entry(&*clock))?);
    Ok(Arc::new(PostgresStore::connect(database.url(), Options::default(), ring, clock).await?))
}

async fn place() -> Result<Place> {
    let database = database().await?;
    let store = connect(&database).await?;
    store.migrate().await?;
    Ok(Place { store, database })
}

store_conformance!(place);

/// Rule 27: statements with id bounds touch their own day's partition only.
#[tokio::test]
async fn rule_27_partitions_are_pruned() -> Result<()> {
    let place = place().await?;
    let sql = "PREPARE q(uuid[], uuid, uuid) AS SELECT id FROM deliveries WHERE id = ANY($1) AND id BETWEEN $2 AND $3;
        SET plan_cache_mode = force_generic_plan;
        EXPLAIN (ANALYZE, COSTS OFF) EXECUTE q(
            ARRAY[whimbrel_first_id(now())], whimbrel_first_id(now()), whimbrel_first_id(now()));";
    let plan = psql(place.database.url(), sql).await?;
    let today =
        psql(place.database.url(), "SELECT 'deliveries_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')").await?;
    assert!(plan.contains(&today), "{plan}");
    assert!(plan.contains("Subplans Removed: 15"), "the other fifteen days: {plan}");
    Ok(())
}

/// Two processes that start at once both end with the whole schema; a newer one is refused by its number.
#[tokio::test]
async fn migrations_run_once_and_a_newer_schema_is_refused() -> Result<()> {
    let database = database().await?;
    let (one, two) = (connect(&database).await?, connect(&database).await?);
    let older = one.check_schema().await.expect_err("nothing is there yet");
    assert!(older.to_string().contains("whimbrel migrate"), "{older}");
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first?;
    second?;
    one.check_schema().await?;
    psql(
        database.url(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .await?;
    let newer = one.migrate().await.expect_err("too new");
    assert!(matches!(newer, OpenError::Newer { found: 9999, .. }), "{newer}");
    Ok(())
}
