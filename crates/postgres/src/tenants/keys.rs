//! API keys.

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::id::KeyId;
use whimbrel_core::port::ApiKey;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::rows::{all, at, hash, maybe_at, tenant_id};

pub(super) async fn create(pool: &PgPool, key: &ApiKey) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO api_keys (id, tenant_id, name, hash, created_at, expires_at, last_used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(key.id.uuid())
    .bind(key.tenant.as_ref().map(TenantId::as_str))
    .bind(&key.name)
    .bind(key.hash.as_slice())
    .bind(OffsetDateTime::from(key.created_at))
    .bind(key.expires_at.map(OffsetDateTime::from))
    .bind(key.last_used_at.map(OffsetDateTime::from))
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn of(pool: &PgPool, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, Fault> {
    let rows = sqlx::query(
        "SELECT id, tenant_id, name, hash, created_at, expires_at, last_used_at FROM api_keys
         WHERE tenant_id IS NOT DISTINCT FROM $1 ORDER BY id",
    )
    .bind(tenant.map(TenantId::as_str))
    .fetch_all(pool)
    .await?;
    all(&rows, key)
}

pub(super) async fn by_hash(pool: &PgPool, hash: &[u8; 32]) -> Result<Option<ApiKey>, Fault> {
    let row = sqlx::query(
        "SELECT id, tenant_id, name, hash, created_at, expires_at, last_used_at FROM api_keys WHERE hash = $1",
    )
    .bind(hash.as_slice())
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(key).transpose()
}

pub(super) async fn touch(pool: &PgPool, id: KeyId, at: Timestamp) -> Result<(), Fault> {
    sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
        .bind(id.uuid())
        .bind(OffsetDateTime::from(at))
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn delete(pool: &PgPool, id: KeyId) -> Result<bool, Fault> {
    let gone = sqlx::query("DELETE FROM api_keys WHERE id = $1").bind(id.uuid()).execute(pool).await?;
    Ok(gone.rows_affected() == 1)
}

fn key(row: &PgRow) -> Result<ApiKey, Fault> {
    let tenant: Option<&str> = row.try_get(1)?;
    Ok(ApiKey {
        id: KeyId::from_uuid(row.try_get(0)?),
        tenant: tenant.map(tenant_id).transpose()?,
        name: row.try_get(2)?,
        hash: hash(row, 3)?,
        created_at: at(row, 4)?,
        expires_at: maybe_at(row, 5)?,
        last_used_at: maybe_at(row, 6)?,
    })
}
