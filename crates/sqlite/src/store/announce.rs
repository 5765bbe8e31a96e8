//! Which versions of endpoints were announced (rule 11).

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Unannounced;

use super::{endpoint_rows, rows};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Ledger::unannounced`].
pub(super) async fn unannounced(reads: &SqlitePool, limit: u32) -> Result<Vec<Unannounced>, Fault> {
    let found = sqlx::query(
        "SELECT id, tenant_id, status, suspend_reason, suspended_since, url, version, activated_at, announced_status
         FROM endpoints WHERE announced_version <> version ORDER BY id LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, read)
}

fn read(row: &SqliteRow) -> Result<Unannounced, Fault> {
    let endpoint = EndpointId::from_uuid(row.try_get(0)?);
    let activated_at: Option<i64> = row.try_get(7)?;
    Ok(Unannounced {
        endpoint,
        tenant: rows::tenant_id(row.try_get(1)?)?,
        url: row.try_get(5)?,
        version: row.try_get(6)?,
        status: endpoint_rows::status(endpoint, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?)?,
        activated_at: activated_at.map(Timestamp::from_micros),
        announced_status: row.try_get(8)?,
    })
}

/// See [`whimbrel_core::port::Ledger::announced`]. Changes are rare: one by one.
pub(super) async fn announced(
    tx: &mut SqliteConnection,
    rows: &[(EndpointId, i64, &'static str)],
) -> Result<(), Fault> {
    for (endpoint, version, status) in rows {
        sqlx::query(
            "UPDATE endpoints SET announced_version = ?2, announced_status = ?3
             WHERE id = ?1 AND announced_version < ?2",
        )
        .bind(endpoint.uuid())
        .bind(version)
        .bind(status)
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
