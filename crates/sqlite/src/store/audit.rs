//! The audit log and the usage counts, as they are read.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::AuditId;
use whimbrel_core::port::{AuditEntry, Page, UsageRow};
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::fault::Fault;

/// See [`whimbrel_core::port::Audit::record`].
pub(super) async fn record(tx: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO audit_log (id, actor, tenant_id, action, subject, status, request_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(entry.id.uuid())
    .bind(&entry.actor)
    .bind(entry.tenant.as_ref().map(TenantId::as_str))
    .bind(&entry.action)
    .bind(&entry.subject)
    .bind(entry.status)
    .bind(&entry.request_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Audit::audit`].
pub(super) async fn list(
    reads: &SqlitePool,
    tenant: Option<&TenantId>,
    page: Page<AuditId>,
) -> Result<Vec<AuditEntry>, Fault> {
    let before = page.after.map_or(Uuid::max(), AuditId::uuid);
    let query = match tenant {
        Some(tenant) => sqlx::query(
            "SELECT id, actor, tenant_id, action, subject, status, request_id FROM audit_log
             WHERE id < ?1 AND tenant_id = ?3 ORDER BY id DESC LIMIT ?2",
        )
        .bind(before)
        .bind(page.limit)
        .bind(tenant.as_str()),
        None => sqlx::query(
            "SELECT id, actor, tenant_id, action, subject, status, request_id FROM audit_log
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        )
        .bind(before)
        .bind(page.limit),
    };
    rows::all(&query.fetch_all(reads).await?, entry)
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, Fault> {
    let tenant: Option<&str> = row.try_get(2)?;
    Ok(AuditEntry {
        id: AuditId::from_uuid(row.try_get(0)?),
        actor: row.try_get(1)?,
        tenant: tenant.map(rows::tenant_id).transpose()?,
        action: row.try_get(3)?,
        subject: row.try_get(4)?,
        status: row.try_get(5)?,
        request_id: row.try_get(6)?,
    })
}

/// See [`whimbrel_core::port::Audit::usage`].
pub(super) async fn usage(
    reads: &SqlitePool,
    tenant: &TenantId,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<UsageRow>, Fault> {
    let found = sqlx::query(
        "SELECT day, events, deliveries, attempts FROM usage
         WHERE tenant_id = ?1 AND day >= ?2 AND day < ?3 ORDER BY day",
    )
    .bind(tenant.as_str())
    .bind(since.as_micros())
    .bind(until.as_micros())
    .fetch_all(reads)
    .await?;
    rows::all(&found, |row| {
        Ok(UsageRow {
            tenant: tenant.clone(),
            day: Timestamp::from_micros(row.try_get(0)?),
            events: row.try_get(1)?,
            deliveries: row.try_get(2)?,
            attempts: row.try_get(3)?,
        })
    })
}
