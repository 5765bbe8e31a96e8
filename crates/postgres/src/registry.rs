//! Endpoints. Every change raises the endpoint's version and its tenant's.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{EndpointChange, Page, Registry, StoreError};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::intake::patterns;
use crate::open::PostgresStore;
use crate::rows::{at, contract, endpoint_status, health, status_columns, tenant_id};

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
        let row = sqlx::query(
            "SELECT e.id, e.tenant_id, t.contract, e.url, e.events, e.description, e.secrets, e.status, e.suspend_reason,
                    e.suspended_since, e.consecutive_failures, e.failing_since, e.version, e.activated_at, e.created_at
             FROM endpoints e JOIN tenants t ON t.id = e.tenant_id WHERE e.id = $1 AND e.tenant_id = $2",
        )
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(row.as_ref().map(|row| self.endpoint_row(row)).transpose()?)
    }

    async fn endpoints_of(&self, tenant: &TenantId, page: Page<EndpointId>) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.id, e.tenant_id, t.contract, e.url, e.events, e.description, e.secrets, e.status, e.suspend_reason,
                    e.suspended_since, e.consecutive_failures, e.failing_since, e.version, e.activated_at, e.created_at
             FROM endpoints e JOIN tenants t ON t.id = e.tenant_id
             WHERE e.tenant_id = $1 AND ($2::uuid IS NULL OR e.id > $2) ORDER BY e.id LIMIT $3",
        )
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
    ) -> Result<Option<Endpoint>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let changed = self.change(&mut transaction, tenant, id, change).await?;
        if changed {
            raise_tenant(&mut transaction, tenant).await?;
        }
        transaction.commit().await.map_err(Fault::from)?;
        if changed { self.endpoint(tenant, id).await } else { Ok(None) }
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
}

/// Copies of the tenant's subscriptions are old now.
async fn raise_tenant(connection: &mut PgConnection, tenant: &TenantId) -> Result<(), Fault> {
    sqlx::query("UPDATE tenants SET endpoints_version = endpoints_version + 1 WHERE id = $1")
        .bind(tenant.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

impl PostgresStore {
    async fn insert(&self, connection: &mut PgConnection, endpoint: &Endpoint) -> Result<(), Fault> {
        let (status, reason, since) = status_columns(endpoint.status);
        sqlx::query(
            "INSERT INTO endpoints (id, tenant_id, url, events, description, secrets, status, suspend_reason,
                 suspended_since, consecutive_failures, failing_since, activated_at, version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(endpoint.id.uuid())
        .bind(endpoint.tenant.as_str())
        .bind(&endpoint.url)
        .bind(endpoint.events.iter().map(ToString::to_string).collect::<Vec<_>>())
        .bind(endpoint.description.as_deref())
        .bind(self.ring.seal(&endpoint.secrets, endpoint.id, &*self.clock))
        .bind(status)
        .bind(reason)
        .bind(since)
        .bind(crate::rows::int(endpoint.health.consecutive_failures))
        .bind(endpoint.health.failing_since.map(OffsetDateTime::from))
        .bind(endpoint.activated_at.map(OffsetDateTime::from))
        .bind(endpoint.version)
        .bind(OffsetDateTime::from(endpoint.created_at))
        .execute(connection)
        .await?;
        Ok(())
    }

    /// False when there is no such endpoint.
    async fn change(
        &self,
        connection: &mut PgConnection,
        tenant: &TenantId,
        id: EndpointId,
        change: &EndpointChange,
    ) -> Result<bool, Fault> {
        let secrets = change.secrets.as_ref().map(|secrets| self.ring.seal(secrets, id, &*self.clock));
        let status = change.status.map(|(status, _)| status_columns(status));
        let activated = change.status.filter(|(status, _)| status.is_active()).map(|(_, at)| OffsetDateTime::from(at));
        let changed = sqlx::query(
            "UPDATE endpoints SET
                 url = coalesce($3, url),
                 events = coalesce($4, events),
                 description = CASE WHEN $5 THEN $6 ELSE description END,
                 secrets = coalesce($7, secrets),
                 status = coalesce($8, status),
                 suspend_reason = CASE WHEN $8 IS NULL THEN suspend_reason ELSE $9 END,
                 suspended_since = CASE WHEN $8 IS NULL THEN suspended_since ELSE $10 END,
                 consecutive_failures = CASE WHEN $11::timestamptz IS NULL THEN consecutive_failures ELSE 0 END,
                 failing_since = CASE WHEN $11 IS NULL THEN failing_since END,
                 activated_at = coalesce($11, activated_at),
                 version = version + 1
             WHERE id = $1 AND tenant_id = $2",
        )
        .bind(id.uuid())
        .bind(tenant.as_str())
        .bind(change.url.as_deref())
        .bind(change.events.as_ref().map(|events| events.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .bind(change.description.is_some())
        .bind(change.description.clone().flatten())
        .bind(secrets)
        .bind(status.map(|(word, _, _)| word))
        .bind(status.and_then(|(_, reason, _)| reason))
        .bind(status.and_then(|(_, _, since)| since))
        .bind(activated)
        .execute(connection)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Reads `id, tenant_id, contract, url, events, description, secrets, status, suspend_reason, suspended_since,
    /// consecutive_failures, failing_since, version, activated_at, created_at`.
    pub(crate) fn endpoint_row(&self, row: &PgRow) -> Result<Endpoint, Fault> {
        let id = EndpointId::from_uuid(row.try_get(0)?);
        let activated_at: Option<OffsetDateTime> = row.try_get(13)?;
        Ok(Endpoint {
            id,
            tenant: tenant_id(row.try_get(1)?)?,
            contract: contract(row.try_get(2)?)?,
            url: row.try_get(3)?,
            events: patterns(&row.try_get::<Vec<String>, _>(4)?)?,
            description: row.try_get(5)?,
            secrets: self.ring.open(row.try_get(6)?, id)?,
            status: endpoint_status(row, 7)?,
            health: health(row, 10)?,
            version: row.try_get(12)?,
            activated_at: activated_at.map(Timestamp::from),
            created_at: at(row, 14)?,
        })
    }
}
