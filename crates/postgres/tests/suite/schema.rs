//! Migrating, and which binaries may run against which schema.

use std::path::Path;

use anyhow::Result;
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection};
use whimbrel_core::port::Ledger as _;
use whimbrel_postgres::OpenError;
use whimbrel_testkit::postgres::{database, psql};

use crate::place::{connect, place};

/// Two processes that start at once both end with the whole schema.
#[tokio::test]
async fn migrations_run_once() -> Result<()> {
    let database = database().await?;
    let (one, two) = (connect(&database).await?, connect(&database).await?);
    let older = one.check_schema().await.expect_err("nothing is there yet");
    assert!(older.to_string().contains("whimbrel migrate"), "{older}");
    let (first, second) = tokio::join!(one.migrate(), two.migrate());
    first?;
    second?;
    one.check_schema().await?;
    assert!(one.all_read_packs().await?, "nothing older can be there");
    Ok(())
}

const NEWER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'from the future', true, '', 0)";

/// A pod of the old version that starts again during a rolling upgrade.
#[tokio::test]
async fn a_newer_schema_that_only_adds_is_accepted() -> Result<()> {
    let place = place().await?;
    psql(place.database.url(), NEWER).await?;
    place.store.check_schema().await?;
    place.store.migrate().await?;
    assert_eq!(place.store.schema_version().await?, 9999);
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_that_takes_away_is_refused() -> Result<()> {
    let place = place().await?;
    psql(place.database.url(), NEWER).await?;
    psql(place.database.url(), "UPDATE schema_compatibility SET oldest_supported = 5000").await?;
    for refused in [place.store.check_schema().await, place.store.migrate().await] {
        let refused = refused.expect_err("too new");
        assert!(matches!(refused, OpenError::Newer { found: 9999, oldest: 5000, .. }), "{refused}");
    }
    Ok(())
}

/// The schema as a binary left it that knew the first eight migrations.
async fn migrate_to_8(url: &str) -> Result<PgConnection> {
    let all = Migrator::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))).await?;
    let first = all.iter().filter(|migration| migration.version <= 8).cloned().collect();
    let mut connection = PgConnection::connect(url).await?;
    Migrator::with_migrations(first).run(&mut connection).await?;
    Ok(connection)
}

/// What such a binary writes, in its words.
const OLDER_BINARY: &str = "
    INSERT INTO endpoints (id, tenant_id, url, events, description, secrets, status, suspend_reason, suspended_since,
        consecutive_failures, failing_since, activated_at, version, created_at)
    VALUES (gen_random_uuid(), 'acme', 'https://receiver.example/', '{*}', NULL, '', 'active', NULL, NULL, 0, NULL,
        NULL, 1, now());
    INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
        first_attempt, attempt, sweep_at)
    SELECT (left(whimbrel_first_id(now())::text, 24) || right(gen_random_uuid()::text, 12))::uuid, gen_random_uuid(),
        gen_random_uuid(), 'acme', 'order.created', 'held', NULL, NULL, 1, 1, 1, NULL;
    INSERT INTO api_keys (id, tenant_id, name, hash, created_at)
    VALUES (gen_random_uuid(), 'acme', '', sha256(gen_random_uuid()::text::bytea), now());";

/// A rolling upgrade: the schema grows under an older binary, whose rows are taken over and whose words stay right.
#[tokio::test]
async fn the_schema_grows_under_an_older_binary() -> Result<()> {
    let database = database().await?;
    let mut older = migrate_to_8(database.url()).await?;
    sqlx::raw_sql(
        "INSERT INTO tenants (id, contract, created_at) VALUES ('acme', 'standard', now());
        SELECT whimbrel_ensure_partitions(current_date - 1, current_date + 1)",
    )
    .execute(&mut older)
    .await?;
    sqlx::raw_sql(OLDER_BINARY).execute(&mut older).await?;
    sqlx::raw_sql("UPDATE endpoints SET version = 7, status = 'disabled'").execute(&mut older).await?;
    let store = connect(&database).await?;
    store.migrate().await?;
    assert!(!store.all_read_packs().await?, "the older binary may be running");
    sqlx::raw_sql(OLDER_BINARY).execute(&mut older).await?;

    let announced = psql(
        database.url(),
        "SELECT version, announced_version, announced_status FROM endpoints ORDER BY version DESC",
    )
    .await?;
    assert_eq!(announced, "7|7|disabled\n1|1|active");
    assert!(store.unannounced(10).await?.is_empty());
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(psql(database.url(), invalid).await?, "0", "an index is not on every partition");
    let parts =
        "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.relname = 'deliveries_held'";
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'deliveries'::regclass";
    assert_eq!(psql(database.url(), parts).await?, psql(database.url(), days).await?);
    Ok(())
}
