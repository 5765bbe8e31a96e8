//! Counting what tenants used.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{StoreError, UsageRow};
use whimbrel_core::tenant::TenantId;

use super::super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

const DAY: Duration = Duration::from_hours(24);
const DAY_MICROS: i64 = 86_400_000_000;

/// See [`whimbrel_core::port::Upkeep::count_usage`]. A day may hold millions of rows: they are counted beside the
/// writer.
pub(in crate::store) async fn count(reads: &SqlitePool, writer: &Writer, day: Timestamp) -> Result<(), StoreError> {
    let day = Timestamp::from_micros(day.as_micros().div_euclid(DAY_MICROS) * DAY_MICROS);
    let rows = counted(reads, day).await?;
    writer.call(move |tx| Box::pin(async move { write(tx, &rows).await })).await
}

async fn counted(reads: &SqlitePool, day: Timestamp) -> Result<Vec<UsageRow>, Fault> {
    let (from, to) = (EventId::first_at(day).uuid(), EventId::first_at(day + DAY).uuid());
    let mut tx = reads.begin().await?;
    let mut usage: BTreeMap<TenantId, UsageRow> = BTreeMap::new();
    for (tenant, events) in events(&mut tx, from, to).await? {
        usage.insert(tenant.clone(), UsageRow { tenant, day, events, deliveries: 0, attempts: 0 });
    }
    let found = sqlx::query(
        "SELECT tenant_id, count(*), sum(attempts) FROM deliveries WHERE id >= ?1 AND id < ?2 GROUP BY tenant_id",
    )
    .bind(from)
    .bind(to)
    .fetch_all(&mut *tx)
    .await?;
    for row in &found {
        if let Some(usage) = usage.get_mut(&rows::tenant_id(row.try_get(0)?)?) {
            (usage.deliveries, usage.attempts) = (row.try_get(1)?, row.try_get(2)?);
        }
    }
    Ok(usage.into_values().collect())
}

/// Events by tenant. From one tenant it jumps to the next, and counts within the primary key's index.
async fn events(tx: &mut SqliteConnection, from: Uuid, to: Uuid) -> Result<Vec<(TenantId, u64)>, Fault> {
    let found = sqlx::query(
        "WITH RECURSIVE senders (id) AS (
             SELECT (SELECT min(tenant_id) FROM events)
             UNION ALL
             SELECT (SELECT min(tenant_id) FROM events WHERE tenant_id > senders.id)
             FROM senders WHERE senders.id IS NOT NULL
         ), counted AS MATERIALIZED (
             SELECT id, (SELECT count(*) FROM events e WHERE e.tenant_id = senders.id AND e.id >= ?1 AND e.id < ?2) AS events
             FROM senders WHERE id IS NOT NULL
         )
         SELECT id, events FROM counted WHERE events > 0",
    )
    .bind(from)
    .bind(to)
    .fetch_all(tx)
    .await?;
    rows::all(&found, |row| Ok((rows::tenant_id(row.try_get(0)?)?, row.try_get(1)?)))
}

async fn write(tx: &mut SqliteConnection, usage: &[UsageRow]) -> Result<(), Fault> {
    static UPSERT: Batch = Batch::new(
        "INSERT INTO usage (tenant_id, day, events, deliveries, attempts) SELECT * FROM (VALUES ",
        "(?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL ON CONFLICT (tenant_id, day) DO UPDATE
         SET events = excluded.events, deliveries = excluded.deliveries, attempts = excluded.attempts",
    );
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for chunk in usage.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPSERT.sql(chunk.len()));
        for row in chunk {
            query = query
                .bind(row.tenant.as_str())
                .bind(row.day.as_micros())
                .bind(number(row.events))
                .bind(number(row.deliveries))
                .bind(number(row.attempts));
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}
