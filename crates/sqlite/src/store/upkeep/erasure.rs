//! Erasing all that a tenant sent, step by step.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::StoreError;
use whimbrel_core::tenant::TenantId;

use super::super::{erase, rows};
use crate::fault::Fault;
use crate::writer::Writer;

/// A tenant's erasure under way.
struct Erasure {
    tenant: TenantId,
    after: Uuid,
    before: Uuid,
}

/// See [`whimbrel_core::port::Upkeep::erase_step`]. Mostly nobody asked: then nothing is written.
pub(in crate::store) async fn erase_step(reads: &SqlitePool, writer: &Writer, limit: u32) -> Result<u64, StoreError> {
    let asked: Option<i64> = sqlx::query_scalar("SELECT 1 FROM tenants WHERE erase_before IS NOT NULL LIMIT 1")
        .fetch_optional(reads)
        .await
        .map_err(Fault::from)?;
    if asked.is_none() {
        return Ok(0);
    }
    writer.call(move |tx| Box::pin(step(tx, limit))).await
}

async fn step(tx: &mut SqliteConnection, limit: u32) -> Result<u64, Fault> {
    let mut erased = 0;
    while erased < limit
        && let Some(erasure) = next(tx).await?
    {
        let room = limit - erased;
        let ids = events(tx, &erasure, room).await?;
        erase::events(tx, &erasure.tenant, &ids).await?;
        let count = u32::try_from(ids.len()).unwrap_or(room);
        match ids.last() {
            Some(last) if count == room => go_on_after(tx, &erasure.tenant, *last).await?,
            _ => finish(tx, &erasure.tenant).await?,
        }
        erased += count;
    }
    Ok(u64::from(erased))
}

async fn next(tx: &mut SqliteConnection) -> Result<Option<Erasure>, Fault> {
    let row = sqlx::query(
        "SELECT id, erase_after, erase_before FROM tenants WHERE erase_before IS NOT NULL ORDER BY id LIMIT 1",
    )
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (after, before): (Option<Uuid>, i64) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Some(Erasure {
        tenant: rows::tenant_id(row.try_get(0)?)?,
        after: after.unwrap_or(Uuid::nil()),
        before: EventId::first_at(Timestamp::from_micros(before)).uuid(),
    }))
}

/// The next events that still say something.
async fn events(tx: &mut SqliteConnection, erasure: &Erasure, limit: u32) -> Result<Vec<EventId>, Fault> {
    let found = sqlx::query(
        "SELECT id FROM events WHERE tenant_id = ?1 AND id > ?2 AND id < ?3 AND length(body) > 0 ORDER BY id LIMIT ?4",
    )
    .bind(erasure.tenant.as_str())
    .bind(erasure.after)
    .bind(erasure.before)
    .bind(limit)
    .fetch_all(tx)
    .await?;
    rows::all(&found, |row| Ok(EventId::from_uuid(row.try_get(0)?)))
}

async fn go_on_after(tx: &mut SqliteConnection, tenant: &TenantId, last: EventId) -> Result<(), Fault> {
    sqlx::query("UPDATE tenants SET erase_after = ?2 WHERE id = ?1")
        .bind(tenant.as_str())
        .bind(last.uuid())
        .execute(tx)
        .await?;
    Ok(())
}

async fn finish(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<(), Fault> {
    sqlx::query("UPDATE tenants SET erase_before = NULL, erase_after = NULL WHERE id = ?1")
        .bind(tenant.as_str())
        .execute(tx)
        .await?;
    Ok(())
}
