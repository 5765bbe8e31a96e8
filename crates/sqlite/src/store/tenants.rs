//! Tenants.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::port::Page;
use whimbrel_core::tenant::{Tenant, TenantId, TenantLimits};

use super::{cancel, endpoint_rows, rows};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Tenants::create_tenant`].
pub(super) async fn create(tx: &mut SqliteConnection, tenant: &Tenant) -> Result<bool, Fault> {
    let done = sqlx::query(
        "INSERT INTO tenants (id, name, contract, limits, erase_before, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(tenant.id.as_str())
    .bind(tenant.name.as_deref())
    .bind(tenant.contract.as_str())
    .bind(limits_to_json(tenant.limits))
    .bind(tenant.erasing_before.map(Timestamp::as_micros))
    .bind(tenant.created_at.as_micros())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// See [`whimbrel_core::port::Tenants::tenant`].
pub(super) async fn get(reads: &SqlitePool, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query("SELECT id, name, contract, limits, erase_before, created_at FROM tenants WHERE id = ?1")
        .bind(id.as_str())
        .fetch_optional(reads)
        .await?;
    row.as_ref().map(tenant).transpose()
}

/// See [`whimbrel_core::port::Tenants::tenants`].
pub(super) async fn list(reads: &SqlitePool, page: Page<TenantId>) -> Result<Vec<Tenant>, Fault> {
    // No id is empty, so all of them come after the empty text.
    let found = sqlx::query(
        "SELECT id, name, contract, limits, erase_before, created_at FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(page.after.as_ref().map_or("", TenantId::as_str))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, tenant)
}

/// See [`whimbrel_core::port::Tenants::update_tenant`] (rule 26).
pub(super) async fn update(tx: &mut SqliteConnection, changed: &Tenant) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query(
        "UPDATE tenants SET name = ?2, limits = ?4, endpoints_version = endpoints_version + 1,
             contract = iif(EXISTS (SELECT 1 FROM endpoints WHERE tenant_id = ?1), contract, ?3)
         WHERE id = ?1 RETURNING id, name, contract, limits, erase_before, created_at",
    )
    .bind(changed.id.as_str())
    .bind(changed.name.as_deref())
    .bind(changed.contract.as_str())
    .bind(limits_to_json(changed.limits))
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(tenant).transpose()
}

/// See [`whimbrel_core::port::Tenants::delete_tenant`]. Keys, endpoints and event types go with it by their foreign keys.
pub(super) async fn delete(tx: &mut SqliteConnection, id: &TenantId) -> Result<bool, Fault> {
    cancel::of_tenant(tx, id).await?;
    let done = sqlx::query("DELETE FROM tenants WHERE id = ?1").bind(id.as_str()).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}

/// See [`whimbrel_core::port::Tenants::erase_tenant`]. What an unfinished erasure has done stays done.
pub(super) async fn erase(tx: &mut SqliteConnection, id: &TenantId, before: Timestamp) -> Result<bool, Fault> {
    let done = sqlx::query("UPDATE tenants SET erase_before = max(coalesce(erase_before, ?2), ?2) WHERE id = ?1")
        .bind(id.as_str())
        .bind(before.as_micros())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes copies of the tenant's subscriptions out of date. False when it is unknown.
pub(super) async fn raise_version(tx: &mut SqliteConnection, id: &TenantId) -> Result<bool, Fault> {
    let done = sqlx::query("UPDATE tenants SET endpoints_version = endpoints_version + 1 WHERE id = ?1")
        .bind(id.as_str())
        .execute(tx)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Stored limits: a JSON object.
pub(super) fn limits(id: &TenantId, json: &str) -> Result<TenantLimits, Fault> {
    serde_json::from_str(json).map_err(|error| Fault::Row(format!("the limits of {id} cannot be read: {error}")))
}

fn limits_to_json(limits: TenantLimits) -> String {
    serde_json::json!(limits).to_string()
}

fn tenant(row: &SqliteRow) -> Result<Tenant, Fault> {
    let id = rows::tenant_id(row.try_get(0)?)?;
    let erasing_before: Option<i64> = row.try_get(4)?;
    Ok(Tenant {
        name: row.try_get(1)?,
        contract: endpoint_rows::contract(row.try_get(2)?)?,
        limits: limits(&id, row.try_get(3)?)?,
        erasing_before: erasing_before.map(Timestamp::from_micros),
        created_at: Timestamp::from_micros(row.try_get(5)?),
        id,
    })
}
