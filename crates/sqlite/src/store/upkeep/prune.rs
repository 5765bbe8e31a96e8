//! Retention: what is old goes, a bounded chunk at a time, so that the writer is never held up for long.

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{Pruned, StoreError};

use super::super::{erase, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

/// Events, and rows of each other kind, that one call removes.
const CHUNK: u32 = 500;

/// How long the audit log is kept.
const AUDIT_KEPT: Duration = Duration::from_hours(365 * 24);

/// From when on things are kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    event: Uuid,
    replay: i64,
    key: i64,
    audit: Uuid,
}

/// See [`whimbrel_core::port::Upkeep::prune`].
pub(in crate::store) async fn prune(
    reads: &SqlitePool,
    writer: &Writer,
    before: Timestamp,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    let bounds = Bounds {
        event: EventId::first_at(before).uuid(),
        replay: before.as_micros(),
        key: now.as_micros(),
        audit: EventId::first_at(now.before(AUDIT_KEPT)).uuid(),
    };
    if !is_due(reads, bounds).await? {
        return Ok(Pruned { removed: 0, more: false });
    }
    writer.call(move |tx| Box::pin(remove(tx, bounds))).await
}

async fn is_due(reads: &SqlitePool, bounds: Bounds) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM events WHERE id < ?1)
             OR EXISTS (SELECT 1 FROM replays WHERE finished_at < ?2)
             OR EXISTS (SELECT 1 FROM idempotency_keys WHERE expires_at <= ?3)
             OR EXISTS (SELECT 1 FROM audit_log WHERE id < ?4)",
    )
    .bind(bounds.event)
    .bind(bounds.replay)
    .bind(bounds.key)
    .bind(bounds.audit)
    .fetch_one(reads)
    .await?)
}

async fn remove(tx: &mut SqliteConnection, bounds: Bounds) -> Result<Pruned, Fault> {
    let removed = events(tx, bounds.event).await?;
    let others = [
        sqlx::query("DELETE FROM replays WHERE id IN (SELECT id FROM replays WHERE finished_at < ?1 LIMIT ?2)")
            .bind(bounds.replay),
        sqlx::query(
            "DELETE FROM idempotency_keys WHERE (tenant_id, key_hash) IN (
                 SELECT tenant_id, key_hash FROM idempotency_keys WHERE expires_at <= ?1 LIMIT ?2)",
        )
        .bind(bounds.key),
        sqlx::query("DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE id < ?1 LIMIT ?2)")
            .bind(bounds.audit),
    ];
    let mut more = removed == u64::from(CHUNK);
    for query in others {
        more |= query.bind(CHUNK).execute(&mut *tx).await?.rows_affected() == u64::from(CHUNK);
    }
    Ok(Pruned { removed, more })
}

/// Removes the oldest events with their deliveries and attempts; says how many events there were.
async fn events(tx: &mut SqliteConnection, before: Uuid) -> Result<u64, Fault> {
    static ATTEMPTS: Batch = Batch::new(
        "DELETE FROM attempts WHERE delivery_id IN (SELECT d.id FROM (VALUES ",
        "(?,?,?)",
        ") AS v CROSS JOIN deliveries d ON d.id BETWEEN v.column1 AND v.column2 AND d.event_id = v.column3)",
    );
    static DELIVERIES: Batch = Batch::new(
        "DELETE FROM deliveries WHERE id IN (SELECT d.id FROM (VALUES ",
        "(?,?,?)",
        ") AS v CROSS JOIN deliveries d ON d.id BETWEEN v.column1 AND v.column2 AND d.event_id = v.column3)",
    );
    let found = sqlx::query("SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2")
        .bind(before)
        .bind(CHUNK)
        .fetch_all(&mut *tx)
        .await?;
    let ids = rows::all(&found, |row| Ok(EventId::from_uuid(row.try_get(0)?)))?;
    for chunk in ids.chunks(ROWS_MAX) {
        erase::run(tx, &ATTEMPTS, chunk).await?;
        erase::run(tx, &DELIVERIES, chunk).await?;
        delete_events(tx, chunk).await?;
    }
    Ok(ids.len() as u64)
}

async fn delete_events(tx: &mut SqliteConnection, ids: &[EventId]) -> Result<(), Fault> {
    static DELETE: Batch = Batch::new("DELETE FROM events WHERE id IN (", "?", ")");
    let mut query = sqlx::query(DELETE.sql(ids.len()));
    for id in ids {
        query = query.bind(id.uuid());
    }
    query.execute(tx).await?;
    Ok(())
}
