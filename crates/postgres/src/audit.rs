//! Who did what, and how much each tenant used.

use async_trait::async_trait;
use sqlx::Row as _;
use time::{Date, OffsetDateTime};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::AuditId;
use whimbrel_core::port::{Audit, AuditEntry, Page, StoreError, UsageRow};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::partitions::start_of;
use crate::rows::{all, count, status_code, stored_status, tenant_id};

#[async_trait]
impl Audit for PostgresStore {
    async fn record(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit_log (id, actor, tenant_id, action, subject, status, request_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        )
        .bind(entry.id.uuid())
        .bind(&entry.actor)
        .bind(entry.tenant.as_ref().map(TenantId::as_str))
        .bind(&entry.action)
        .bind(&entry.subject)
        .bind(stored_status(Some(entry.status)))
        .bind(&entry.request_id)
        .execute(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(())
    }

    async fn audit(&self, tenant: Option<&TenantId>, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, actor, tenant_id, action, subject, status, request_id FROM audit_log
             WHERE ($1::text IS NULL OR tenant_id = $1) AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(tenant.map(TenantId::as_str))
        .bind(page.after.map_or(Uuid::max(), AuditId::uuid))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, |row| {
            let tenant: Option<&str> = row.try_get(2)?;
            Ok(AuditEntry {
                id: AuditId::from_uuid(row.try_get(0)?),
                actor: row.try_get(1)?,
                tenant: tenant.map(tenant_id).transpose()?,
                action: row.try_get(3)?,
                subject: row.try_get(4)?,
                status: status_code(row.try_get(5)?).unwrap_or(0),
                request_id: row.try_get(6)?,
            })
        })?)
    }

    async fn usage(&self, tenant: &TenantId, since: Timestamp, until: Timestamp) -> Result<Vec<UsageRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT tenant_id, day, events, deliveries, attempts FROM usage
             WHERE tenant_id = $1 AND day::timestamp AT TIME ZONE 'UTC' >= $2 AND day::timestamp AT TIME ZONE 'UTC' < $3
             ORDER BY day",
        )
        .bind(tenant.as_str())
        .bind(OffsetDateTime::from(since))
        .bind(OffsetDateTime::from(until))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, |row| {
            Ok(UsageRow {
                tenant: tenant_id(row.try_get(0)?)?,
                day: start_of(row.try_get::<Date, _>(1)?),
                events: count(row, 2)?,
                deliveries: count(row, 3)?,
                attempts: count(row, 4)?,
            })
        })?)
    }
}
