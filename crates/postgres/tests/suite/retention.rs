//! Rule 27: days are dropped without stopping those who write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::port::{Log as _, Pruned, StoreError, Upkeep as _};
use whimbrel_postgres::PostgresStore;
use whimbrel_testkit::postgres::psql;
use whimbrel_testkit::wait;

use crate::place::{Place, connect_with, place};
use crate::setting::{DAY, delivery, endpoint, now, tenant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A store with one old day, and since when to keep.
async fn with_an_old_day() -> Result<(Place, Delivery, Timestamp)> {
    let place = place().await?;
    let endpoint = endpoint(&place.store).await?;
    let old = delivery(&place.store, &endpoint, now().before(DAY * 40)).await?;
    Ok((place, old, now().before(DAY * 30)))
}

/// A writer's session with an open transaction that has written to today's partition.
async fn writer(place: &Place) -> Result<PgConnection> {
    let mut writer = PgConnection::connect(place.database.url()).await?;
    sqlx::raw_sql(
        "BEGIN; INSERT INTO events
             SELECT whimbrel_first_id(clock_timestamp()), 'default', 'order.created', now(), '{}', 0, 0, '', ''",
    )
    .execute(&mut writer)
    .await?;
    Ok(writer)
}

fn prune(store: &Arc<PostgresStore>, before: Timestamp) -> JoinHandle<Result<Pruned, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.prune(before, now()).await })
}

async fn until_detaching(place: &Place) -> Result<()> {
    wait::until("a partition is being detached", PATIENCE, async || {
        let pending =
            psql(place.database.url(), "SELECT count(*) FROM pg_inherits WHERE inhdetachpending").await.ok()?;
        (pending == "1").then_some(())
    })
    .await
}

async fn old_table(place: &Place, parent: &str) -> Result<String> {
    let sql = format!("SELECT '{parent}_' || to_char((now() - interval '40 days') AT TIME ZONE 'UTC', 'YYYYMMDD')");
    psql(place.database.url(), &sql).await
}

async fn old_tables(place: &Place) -> Result<String> {
    let sql = "SELECT count(*) FROM pg_class WHERE relkind = 'r'
        AND relname LIKE '%' || to_char((now() - interval '40 days') AT TIME ZONE 'UTC', 'YYYYMMDD')";
    psql(place.database.url(), sql).await
}

/// Someone has written today and not committed yet, others go on writing: only the dropping waits.
#[tokio::test]
async fn rule_27_dropping_a_day_blocks_no_writer() -> Result<()> {
    let (place, old, before) = with_an_old_day().await?;
    let endpoint = endpoint(&place.store).await?;
    let mut writer = writer(&place).await?;
    let pruning = prune(&place.store, before);
    until_detaching(&place).await?;
    for days_ago in [0, 1, 0, 1] {
        let write = delivery(&place.store, &endpoint, now().before(DAY * days_ago));
        tokio::time::timeout(PATIENCE, write).await.context("a writer waits for the dropping")??;
    }
    if pruning.is_finished() {
        bail!("it did not wait for the open transaction: {:?}", pruning.await);
    }
    sqlx::raw_sql(
        "INSERT INTO events
             SELECT whimbrel_first_id(clock_timestamp()), 'default', 'order.paid', now(), '{}', 0, 0, '', '';
         COMMIT",
    )
    .execute(&mut writer)
    .await?;
    let pruned = pruning.await??;
    ensure!(pruned == Pruned { removed: 1, more: false }, "{pruned:?}");
    ensure!(old_tables(&place).await? == "0", "the day's tables are still there");
    ensure!(place.store.event(&tenant(), old.event).await?.is_none());
    Ok(())
}

/// Whatever an earlier call left: a partition half detached, or detached and not dropped.
#[tokio::test]
async fn rule_27_an_interrupted_drop_is_finished_by_the_next() -> Result<()> {
    let (place, _, before) = with_an_old_day().await?;
    let writer = writer(&place).await?;
    let pruning = prune(&place.store, before);
    until_detaching(&place).await?;
    psql(
        place.database.url(),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'ALTER TABLE%CONCURRENTLY'",
    )
    .await?;
    let interrupted = pruning.await?;
    ensure!(matches!(interrupted, Err(StoreError::Away(_))), "{interrupted:?}");
    writer.close().await?;
    // The writer had only the events locked: the day's other tables are gone. Let one be detached, but not dropped.
    let detached = format!("CREATE TABLE {} (LIKE deliveries)", old_table(&place, "deliveries").await?);
    psql(place.database.url(), &detached).await?;
    ensure!(old_tables(&place).await? == "2", "not what the case is about");

    let pruned = place.store.prune(before, now()).await?;
    ensure!(pruned == Pruned { removed: 1, more: false }, "{pruned:?}");
    ensure!(old_tables(&place).await? == "0", "something of the day is still there");
    Ok(())
}

/// The services' role owns no table: it is told who can.
#[tokio::test]
async fn a_role_that_owns_no_table_cannot_prune() -> Result<()> {
    let (place, old, before) = with_an_old_day().await?;
    // A role that every server has.
    let grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO pg_monitor;
        GRANT EXECUTE ON FUNCTION whimbrel_ensure_partitions(date, date) TO pg_monitor";
    psql(place.database.url(), grants).await?;
    let store = connect_with(&place.database, "role=pg_monitor").await?;
    store.prepare_days().await?;
    let refused = store.prune(before, now()).await.expect_err("it does not own them");
    ensure!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    ensure!(refused.to_string().contains("run whimbrel prune as the owner of the tables"), "{refused}");
    ensure!(store.event(&tenant(), old.event).await?.is_some(), "it is gone");
    let nothing = store.prune(now().before(DAY * 50), now()).await?;
    ensure!(nothing == Pruned { removed: 0, more: false }, "{nothing:?}");
    Ok(())
}
