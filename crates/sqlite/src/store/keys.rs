//! API keys, as hashes.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::id::KeyId;
use whimbrel_core::port::ApiKey;
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::fault::Fault;

/// What [`key`] reads.
macro_rules! columns {
    () => {
        "id, tenant_id, name, hash, created_at, expires_at, last_used_at"
    };
}

/// See [`whimbrel_core::port::Tenants::create_key`].
pub(super) async fn create(tx: &mut SqliteConnection, key: &ApiKey) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO api_keys (id, tenant_id, name, hash, created_at, expires_at, last_used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(key.id.uuid())
    .bind(key.tenant.as_ref().map(TenantId::as_str))
    .bind(&key.name)
    .bind(&key.hash[..])
    .bind(key.created_at.as_micros())
    .bind(key.expires_at.map(Timestamp::as_micros))
    .bind(key.last_used_at.map(Timestamp::as_micros))
    .execute(tx)
    .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Tenants::keys`].
pub(super) async fn list(reads: &SqlitePool, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, Fault> {
    let found = sqlx::query(concat!("SELECT ", columns!(), " FROM api_keys WHERE tenant_id IS ?1 ORDER BY id"))
        .bind(tenant.map(TenantId::as_str))
        .fetch_all(reads)
        .await?;
    rows::all(&found, key)
}

/// See [`whimbrel_core::port::Tenants::key_by_hash`].
pub(super) async fn by_hash(reads: &SqlitePool, hash: &[u8; 32]) -> Result<Option<ApiKey>, Fault> {
    let row = sqlx::query(concat!("SELECT ", columns!(), " FROM api_keys WHERE hash = ?1"))
        .bind(&hash[..])
        .fetch_optional(reads)
        .await?;
    row.as_ref().map(key).transpose()
}

/// See [`whimbrel_core::port::Tenants::touch_key`].
pub(super) async fn touch(tx: &mut SqliteConnection, id: KeyId, at: Timestamp) -> Result<(), Fault> {
    sqlx::query("UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at < ?2, 1)")
        .bind(id.uuid())
        .bind(at.as_micros())
        .execute(tx)
        .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Tenants::delete_key`].
pub(super) async fn delete(tx: &mut SqliteConnection, id: KeyId) -> Result<bool, Fault> {
    let done = sqlx::query("DELETE FROM api_keys WHERE id = ?1").bind(id.uuid()).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}

fn key(row: &SqliteRow) -> Result<ApiKey, Fault> {
    let tenant: Option<&str> = row.try_get(1)?;
    let hash: &[u8] = row.try_get(3)?;
    let time = |column: usize| -> Result<Option<Timestamp>, Fault> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
    };
    Ok(ApiKey {
        id: KeyId::from_uuid(row.try_get(0)?),
        tenant: tenant.map(rows::tenant_id).transpose()?,
        name: row.try_get(2)?,
        hash: hash.try_into().map_err(|_| Fault::Row(format!("a key's hash has {} bytes", hash.len())))?,
        created_at: Timestamp::from_micros(row.try_get(4)?),
        expires_at: time(5)?,
        last_used_at: time(6)?,
    })
}
