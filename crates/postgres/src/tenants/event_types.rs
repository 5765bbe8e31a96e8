//! What tenants say about their event types. Every change raises the tenant's version: ingest checks schemas.

use sqlx::{PgConnection, PgPool, Row as _};
use time::OffsetDateTime;
use whimbrel_core::port::EventTypeRow;
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::rows::{all, at, event_type};

/// False for an unknown tenant.
pub(super) async fn put(pool: &PgPool, tenant: &TenantId, row: &EventTypeRow) -> Result<bool, Fault> {
    let mut transaction = pool.begin().await?;
    if !raise(&mut transaction, tenant).await? {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO event_types (tenant_id, event_type, description, schema, updated_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, event_type) DO UPDATE
         SET description = excluded.description, schema = excluded.schema, updated_at = excluded.updated_at",
    )
    .bind(tenant.as_str())
    .bind(row.event_type.as_str())
    .bind(row.description.as_deref())
    .bind(row.schema.as_deref())
    .bind(OffsetDateTime::from(row.updated_at))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// By name.
pub(super) async fn of(pool: &PgPool, tenant: &TenantId) -> Result<Vec<EventTypeRow>, Fault> {
    let rows = sqlx::query(
        "SELECT event_type, description, schema, updated_at FROM event_types WHERE tenant_id = $1 ORDER BY event_type",
    )
    .bind(tenant.as_str())
    .fetch_all(pool)
    .await?;
    all(&rows, |row| {
        Ok(EventTypeRow {
            event_type: event_type(row.try_get(0)?)?,
            description: row.try_get(1)?,
            schema: row.try_get(2)?,
            updated_at: at(row, 3)?,
        })
    })
}

/// False when nothing was said about it.
pub(super) async fn delete(pool: &PgPool, tenant: &TenantId, event_type: &EventType) -> Result<bool, Fault> {
    let mut transaction = pool.begin().await?;
    // The tenant first, as in `put`.
    raise(&mut transaction, tenant).await?;
    let gone = sqlx::query("DELETE FROM event_types WHERE tenant_id = $1 AND event_type = $2")
        .bind(tenant.as_str())
        .bind(event_type.as_str())
        .execute(&mut *transaction)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

async fn raise(connection: &mut PgConnection, tenant: &TenantId) -> Result<bool, Fault> {
    let raised = sqlx::query("UPDATE tenants SET endpoints_version = endpoints_version + 1 WHERE id = $1")
        .bind(tenant.as_str())
        .execute(connection)
        .await?;
    Ok(raised.rows_affected() == 1)
}
