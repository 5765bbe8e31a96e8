//! Tenants.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::port::Page;
use whimbrel_core::tenant::{Tenant, TenantId};

use super::{cancel, endpoint_rows, rows};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Tenants::create_tenant`].
pub(super) async fn create(tx: &mut SqliteConnection, tenant: &Tenant) -> Result<bool, Fault> {
    let done = sqlx::query(
        "INSERT INTO tenants (id, name, contract, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
    )
    .bind(tenant.id.as_str())
    .bind(tenant.name.as_deref())
    .bind(tenant.contract.as_str())
    .bind(tenant.created_at.as_micros())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// See [`whimbrel_core::port::Tenants::tenant`].
pub(super) async fn get(reads: &SqlitePool, id: &TenantId) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query("SELECT id, name, contract, created_at FROM tenants WHERE id = ?1")
        .bind(id.as_str())
        .fetch_optional(reads)
        .await?;
    row.as_ref().map(tenant).transpose()
}

/// See [`whimbrel_core::port::Tenants::tenants`].
pub(super) async fn list(reads: &SqlitePool, page: Page<TenantId>) -> Result<Vec<Tenant>, Fault> {
    // No id is empty, so all of them come after the empty text.
    let found = sqlx::query("SELECT id, name, contract, created_at FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2")
        .bind(page.after.as_ref().map_or("", TenantId::as_str))
        .bind(page.limit)
        .fetch_all(reads)
        .await?;
    rows::all(&found, tenant)
}

/// See [`whimbrel_core::port::Tenants::update_tenant`] (rule 26).
pub(super) async fn update(tx: &mut SqliteConnection, changed: &Tenant) -> Result<Option<Tenant>, Fault> {
    let row = sqlx::query(
        "UPDATE tenants SET name = ?2,
             contract = iif(EXISTS (SELECT 1 FROM endpoints WHERE tenant_id = ?1), contract, ?3)
         WHERE id = ?1 RETURNING id, name, contract, created_at",
    )
    .bind(changed.id.as_str())
    .bind(changed.name.as_deref())
    .bind(changed.contract.as_str())
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(tenant).transpose()
}

/// See [`whimbrel_core::port::Tenants::delete_tenant`]. Keys and endpoints go with it by their foreign keys.
pub(super) async fn delete(tx: &mut SqliteConnection, id: &TenantId) -> Result<bool, Fault> {
    cancel::of_tenant(tx, id).await?;
    let done = sqlx::query("DELETE FROM tenants WHERE id = ?1").bind(id.as_str()).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}

fn tenant(row: &SqliteRow) -> Result<Tenant, Fault> {
    Ok(Tenant {
        id: rows::tenant_id(row.try_get(0)?)?,
        name: row.try_get(1)?,
        contract: endpoint_rows::contract(row.try_get(2)?)?,
        created_at: Timestamp::from_micros(row.try_get(3)?),
    })
}
