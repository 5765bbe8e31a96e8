//! Tenants and keys.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use whimbrel_core::id::KeyId;
use whimbrel_core::port::{ApiKey, Page, StoreError, Tenants};
use whimbrel_core::tenant::{Tenant, TenantId};

use crate::fault::Fault;
use crate::intake::hash;
use crate::open::PostgresStore;
use crate::rows::{all, at, contract, tenant_id};

#[async_trait]
impl Tenants for PostgresStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        let made = sqlx::query(
            "INSERT INTO tenants (id, name, contract, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        )
        .bind(tenant.id.as_str())
        .bind(tenant.name.as_deref())
        .bind(tenant.contract.as_str())
        .bind(OffsetDateTime::from(tenant.created_at))
        .execute(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(made.rows_affected() == 1)
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        let row = sqlx::query("SELECT id, name, contract, created_at FROM tenants WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(row.as_ref().map(tenant).transpose()?)
    }

    async fn tenants(&self, page: Page<TenantId>) -> Result<Vec<Tenant>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, name, contract, created_at FROM tenants WHERE $1::text IS NULL OR id COLLATE \"C\" > $1
             ORDER BY id COLLATE \"C\" LIMIT $2",
        )
        .bind(page.after.as_ref().map(TenantId::as_str))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, tenant)?)
    }

    async fn update_tenant(&self, tenant: &Tenant) -> Result<Option<Tenant>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        // The lock that making an endpoint takes, too; the next statement then sees what was made before.
        sqlx::query("SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE")
            .bind(tenant.id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        let row = sqlx::query(
            "UPDATE tenants SET name = $2, contract = CASE
                 WHEN EXISTS (SELECT 1 FROM endpoints WHERE tenant_id = $1) THEN contract ELSE $3 END
             WHERE id = $1 RETURNING id, name, contract, created_at",
        )
        .bind(tenant.id.as_str())
        .bind(tenant.name.as_deref())
        .bind(tenant.contract.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(Fault::from)?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(row.as_ref().map(self::tenant).transpose()?)
    }

    async fn delete_tenant(&self, id: &TenantId) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        sqlx::query(
            "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
             WHERE state IN ('pending', 'retrying', 'waiting', 'held')
               AND endpoint_id IN (SELECT id FROM endpoints WHERE tenant_id = $1)",
        )
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(Fault::from)?;
        let gone = sqlx::query("DELETE FROM tenants WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(gone.rows_affected() == 1)
    }

    async fn create_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO api_keys (id, tenant_id, name, hash, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(key.id.uuid())
            .bind(key.tenant.as_ref().map(TenantId::as_str))
            .bind(&key.name)
            .bind(key.hash.as_slice())
            .bind(OffsetDateTime::from(key.created_at))
            .execute(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(())
    }

    async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant_id, name, hash, created_at FROM api_keys
             WHERE tenant_id IS NOT DISTINCT FROM $1 ORDER BY id",
        )
        .bind(tenant.map(TenantId::as_str))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, key)?)
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query("SELECT id, tenant_id, name, hash, created_at FROM api_keys WHERE hash = $1")
            .bind(hash.as_slice())
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(row.as_ref().map(key).transpose()?)
    }

    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError> {
        let gone = sqlx::query("DELETE FROM api_keys WHERE id = $1")
            .bind(id.uuid())
            .execute(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(gone.rows_affected() == 1)
    }
}

fn tenant(row: &PgRow) -> Result<Tenant, Fault> {
    Ok(Tenant {
        id: tenant_id(row.try_get(0)?)?,
        name: row.try_get(1)?,
        contract: contract(row.try_get(2)?)?,
        created_at: at(row, 3)?,
    })
}

fn key(row: &PgRow) -> Result<ApiKey, Fault> {
    let tenant: Option<&str> = row.try_get(1)?;
    Ok(ApiKey {
        id: KeyId::from_uuid(row.try_get(0)?),
        tenant: tenant.map(tenant_id).transpose()?,
        name: row.try_get(2)?,
        hash: hash(row, 3)?,
        created_at: at(row, 4)?,
    })
}
