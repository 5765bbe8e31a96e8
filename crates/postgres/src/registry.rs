//! Endpoints. Every change raises the endpoint's version and its tenant's.

mod read;
mod reencrypt;
mod write;

use async_trait::async_trait;
use sqlx::PgConnection;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{EndpointChange, Page, Reencrypted, Registry, StoreError, Updated};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::open::PostgresStore;

pub(crate) use read::endpoint_columns;

#[async_trait]
impl Registry for PostgresStore {
    async fn create_endpoint(&self, endpoint: &Endpoint, limit: Option<u32>) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        // The tenant's row lock: two creations cannot both see the last free place (rule 30).
        raise_tenant(&mut transaction, &endpoint.tenant).await?;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM endpoints WHERE tenant_id = $1")
            .bind(endpoint.tenant.as_str())
            .fetch_one(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        if limit.is_some_and(|limit| count >= i64::from(limit)) {
            return Ok(false);
        }
        self.insert(&mut transaction, endpoint).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(true)
    }

    async fn endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row = sqlx::query(concat!(endpoint_columns!(), " WHERE e.id = $1 AND e.tenant_id = $2"))
            .bind(id.uuid())
            .bind(tenant.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(row.as_ref().map(|row| self.endpoint_row(row)).transpose()?)
    }

    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query(concat!(
            endpoint_columns!(),
            " WHERE e.tenant_id = $1 AND ($2::uuid IS NULL OR e.id > $2) ORDER BY e.id LIMIT $3"
        ))
        .bind(tenant.as_str())
        .bind(page.after.map(EndpointId::uuid))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(rows.iter().map(|row| self.endpoint_row(row)).collect::<Result<_, _>>()?)
    }

    async fn update_endpoint(
        &self,
        tenant: &TenantId,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Result<Updated, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let Some(version) = lock(&mut transaction, tenant, id).await? else { return Ok(Updated::Unknown) };
        if change.if_version.is_some_and(|expected| expected != version) {
            return Ok(Updated::Stale);
        }
        self.change(&mut transaction, id, change).await?;
        raise_tenant(&mut transaction, tenant).await?;
        let row = sqlx::query(concat!(endpoint_columns!(), " WHERE e.id = $1"))
            .bind(id.uuid())
            .fetch_one(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(Updated::Done(Box::new(self.endpoint_row(&row)?)))
    }

    async fn delete_endpoint(&self, tenant: &TenantId, id: EndpointId) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let mine: Option<i32> = sqlx::query_scalar("SELECT 1 FROM endpoints WHERE id = $1 AND tenant_id = $2")
            .bind(id.uuid())
            .bind(tenant.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        if mine.is_none() {
            return Ok(false);
        }
        // Deliveries before endpoints, as the ledger locks them.
        sqlx::query(
            "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
             WHERE endpoint_id = $1 AND state IN ('pending', 'retrying', 'waiting', 'held')",
        )
        .bind(id.uuid())
        .execute(&mut *transaction)
        .await
        .map_err(Fault::from)?;
        let gone = sqlx::query("DELETE FROM endpoints WHERE id = $1")
            .bind(id.uuid())
            .execute(&mut *transaction)
            .await
            .map_err(Fault::from)?;
        raise_tenant(&mut transaction, tenant).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(gone.rows_affected() == 1)
    }

    async fn reencrypt(&self, after: Option<EndpointId>, limit: u32) -> Result<Reencrypted, StoreError> {
        Ok(self.reencrypt_page(after, limit).await?)
    }
}

/// Locks the endpoint and gives its version.
async fn lock(connection: &mut PgConnection, tenant: &TenantId, id: EndpointId) -> Result<Option<i64>, Fault> {
    let version = sqlx::query_scalar("SELECT version FROM endpoints WHERE id = $1 AND tenant_id = $2 FOR UPDATE")
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(version)
}

/// Copies of the tenant's subscriptions are old now.
pub(crate) async fn raise_tenant(connection: &mut PgConnection, tenant: &TenantId) -> Result<(), Fault> {
    sqlx::query("UPDATE tenants SET endpoints_version = endpoints_version + 1 WHERE id = $1")
        .bind(tenant.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
