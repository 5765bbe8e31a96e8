//! What tenants say about their event types.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::port::EventTypeRow;
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use super::{rows, tenants};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Tenants::put_event_type`].
pub(super) async fn put(tx: &mut SqliteConnection, tenant: &TenantId, row: &EventTypeRow) -> Result<bool, Fault> {
    if !tenants::raise_version(tx, tenant).await? {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO event_types (tenant_id, event_type, description, schema, updated_at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (tenant_id, event_type) DO UPDATE
         SET description = excluded.description, schema = excluded.schema, updated_at = excluded.updated_at",
    )
    .bind(tenant.as_str())
    .bind(row.event_type.as_str())
    .bind(row.description.as_deref())
    .bind(row.schema.as_deref())
    .bind(row.updated_at.as_micros())
    .execute(tx)
    .await?;
    Ok(true)
}

/// See [`whimbrel_core::port::Tenants::event_types`].
pub(super) async fn list(reads: &SqlitePool, tenant: &TenantId) -> Result<Vec<EventTypeRow>, Fault> {
    let found = sqlx::query(
        "SELECT event_type, description, schema, updated_at FROM event_types WHERE tenant_id = ?1 ORDER BY event_type",
    )
    .bind(tenant.as_str())
    .fetch_all(reads)
    .await?;
    rows::all(&found, |row| {
        Ok(EventTypeRow {
            event_type: rows::event_type(row.try_get(0)?)?,
            description: row.try_get(1)?,
            schema: row.try_get(2)?,
            updated_at: Timestamp::from_micros(row.try_get(3)?),
        })
    })
}

/// See [`whimbrel_core::port::Tenants::delete_event_type`].
pub(super) async fn delete(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    event_type: &EventType,
) -> Result<bool, Fault> {
    let done = sqlx::query("DELETE FROM event_types WHERE tenant_id = ?1 AND event_type = ?2")
        .bind(tenant.as_str())
        .bind(event_type.as_str())
        .execute(&mut *tx)
        .await?;
    Ok(done.rows_affected() == 1 && tenants::raise_version(tx, tenant).await?)
}
