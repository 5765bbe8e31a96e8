//! Tenants, their keys and their event types.

mod event_types;
mod keys;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::id::KeyId;
use whimbrel_core::port::{ApiKey, EventTypeRow, Page, StoreError, Tenants};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::{Tenant, TenantId};

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, at, contract, json, maybe_at, tenant_id, to_json};

/// What [`tenant`] reads.
macro_rules! tenant_columns {
    () => {
        "id, name, contract, created_at, limits::text, erase_before"
    };
}

#[async_trait]
impl Tenants for PostgresStore {
    async fn create_tenant(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        let made = sqlx::query(
            "INSERT INTO tenants (id, name, contract, created_at, limits) VALUES ($1, $2, $3, $4, $5::jsonb)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(tenant.id.as_str())
        .bind(tenant.name.as_deref())
        .bind(tenant.contract.as_str())
        .bind(OffsetDateTime::from(tenant.created_at))
        .bind(to_json(&tenant.limits))
        .execute(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(made.rows_affected() == 1)
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", tenant_columns!(), " FROM tenants WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(row.as_ref().map(tenant).transpose()?)
    }

    async fn tenants(&self, page: Page<TenantId>) -> Result<Vec<Tenant>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            tenant_columns!(),
            " FROM tenants WHERE $1::text IS NULL OR id COLLATE \"C\" > $1 ORDER BY id COLLATE \"C\" LIMIT $2",
        ))
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
        let row = sqlx::query(concat!(
            "UPDATE tenants SET name = $2, limits = $4::jsonb, endpoints_version = endpoints_version + 1, contract = CASE
                     WHEN EXISTS (SELECT 1 FROM endpoints WHERE tenant_id = $1) THEN contract ELSE $3 END
                 WHERE id = $1 RETURNING ",
            tenant_columns!(),
        ))
        .bind(tenant.id.as_str())
        .bind(tenant.name.as_deref())
        .bind(tenant.contract.as_str())
        .bind(to_json(&tenant.limits))
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
        Ok(keys::create(&self.pool, key).await?)
    }

    async fn keys(&self, tenant: Option<&TenantId>) -> Result<Vec<ApiKey>, StoreError> {
        Ok(keys::of(&self.pool, tenant).await?)
    }

    async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        Ok(keys::by_hash(&self.pool, hash).await?)
    }

    async fn touch_key(&self, id: KeyId, at: Timestamp) -> Result<(), StoreError> {
        Ok(keys::touch(&self.pool, id, at).await?)
    }

    async fn delete_key(&self, id: KeyId) -> Result<bool, StoreError> {
        Ok(keys::delete(&self.pool, id).await?)
    }

    async fn put_event_type(&self, tenant: &TenantId, row: &EventTypeRow) -> Result<bool, StoreError> {
        Ok(event_types::put(&self.pool, tenant, row).await?)
    }

    async fn event_types(&self, tenant: &TenantId) -> Result<Vec<EventTypeRow>, StoreError> {
        Ok(event_types::of(&self.pool, tenant).await?)
    }

    async fn delete_event_type(&self, tenant: &TenantId, event_type: &EventType) -> Result<bool, StoreError> {
        Ok(event_types::delete(&self.pool, tenant, event_type).await?)
    }

    async fn erase_tenant(&self, tenant: &TenantId, before: Timestamp) -> Result<bool, StoreError> {
        // From the first event on again: what was erased already is passed over.
        let found = sqlx::query(
            "UPDATE tenants SET erase_before = greatest(erase_before, $2), erase_after = NULL WHERE id = $1",
        )
        .bind(tenant.as_str())
        .bind(OffsetDateTime::from(before))
        .execute(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(found.rows_affected() == 1)
    }
}

fn tenant(row: &PgRow) -> Result<Tenant, Fault> {
    Ok(Tenant {
        id: tenant_id(row.try_get(0)?)?,
        name: row.try_get(1)?,
        contract: contract(row.try_get(2)?)?,
        limits: json(row.try_get(4)?)?,
        erasing_before: maybe_at(row, 5)?,
        created_at: at(row, 3)?,
    })
}
