//! Endpoints. Every change raises the endpoint's version and its tenant's (rule 10).

use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{EndpointChange, Page};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::subscription::Pattern;
use whimbrel_core::tenant::TenantId;

use super::{cancel, endpoint_rows, rows};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Registry::create_endpoint`] (rule 30); `sealed` are its secrets.
pub(super) async fn create(
    tx: &mut SqliteConnection,
    endpoint: &Endpoint,
    sealed: &[u8],
    limit: Option<u32>,
) -> Result<bool, Fault> {
    if let Some(limit) = limit {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM endpoints WHERE tenant_id = ?1")
            .bind(endpoint.tenant.as_str())
            .fetch_one(&mut *tx)
            .await?;
        if count >= i64::from(limit) {
            return Ok(false);
        }
    }
    insert(tx, endpoint, sealed).await?;
    raise_tenant(tx, &endpoint.tenant).await?;
    Ok(true)
}

async fn insert(tx: &mut SqliteConnection, endpoint: &Endpoint, sealed: &[u8]) -> Result<(), Fault> {
    let (reason, since) = endpoint_rows::suspension_columns(endpoint.status);
    sqlx::query(
        "INSERT INTO endpoints (id, tenant_id, url, events, description, secrets, status, suspend_reason,
             suspended_since, consecutive_failures, failing_since, activated_at, version, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )
    .bind(endpoint.id.uuid())
    .bind(endpoint.tenant.as_str())
    .bind(&endpoint.url)
    .bind(endpoint_rows::patterns_to_json(&endpoint.events))
    .bind(endpoint.description.as_deref())
    .bind(sealed)
    .bind(endpoint.status.as_str())
    .bind(reason)
    .bind(since)
    .bind(endpoint.health.consecutive_failures)
    .bind(endpoint.health.failing_since.map(Timestamp::as_micros))
    .bind(endpoint.activated_at.map(Timestamp::as_micros))
    .bind(endpoint.version)
    .bind(endpoint.created_at.as_micros())
    .execute(tx)
    .await?;
    Ok(())
}

async fn raise_tenant(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<(), Fault> {
    sqlx::query("UPDATE tenants SET endpoints_version = endpoints_version + 1 WHERE id = ?1")
        .bind(tenant.as_str())
        .execute(tx)
        .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Registry::endpoint`].
pub(super) async fn get<'e, E>(
    from: E,
    ring: &KeyRing,
    tenant: &TenantId,
    id: EndpointId,
) -> Result<Option<Endpoint>, Fault>
where
    E: sqlx::Executor<'e, Database = sqlx::Sqlite>,
{
    let row = sqlx::query(
        "SELECT e.id, e.tenant_id, e.status, e.suspend_reason, e.suspended_since, e.consecutive_failures,
             e.failing_since, e.activated_at, e.version, e.url, e.events, e.description, e.secrets, e.created_at,
             t.contract
         FROM endpoints e JOIN tenants t ON t.id = e.tenant_id WHERE e.id = ?1 AND e.tenant_id = ?2",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(from)
    .await?;
    row.as_ref().map(|row| endpoint_rows::endpoint(row, ring)).transpose()
}

/// See [`whimbrel_core::port::Registry::endpoints_of`].
pub(super) async fn list(
    reads: &SqlitePool,
    ring: &KeyRing,
    tenant: &TenantId,
    page: Page<EndpointId>,
) -> Result<Vec<Endpoint>, Fault> {
    let found = sqlx::query(
        "SELECT e.id, e.tenant_id, e.status, e.suspend_reason, e.suspended_since, e.consecutive_failures,
             e.failing_since, e.activated_at, e.version, e.url, e.events, e.description, e.secrets, e.created_at,
             t.contract
         FROM endpoints e JOIN tenants t ON t.id = e.tenant_id
         WHERE e.tenant_id = ?1 AND e.id > ?2 ORDER BY e.id LIMIT ?3",
    )
    .bind(tenant.as_str())
    .bind(page.after.map_or(Uuid::nil(), EndpointId::uuid))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, |row| endpoint_rows::endpoint(row, ring))
}

/// See [`whimbrel_core::port::Registry::update_endpoint`]; `sealed` are its new secrets, if it gets any.
pub(super) async fn update(
    tx: &mut SqliteConnection,
    ring: &KeyRing,
    (tenant, id): (&TenantId, EndpointId),
    change: &EndpointChange,
    sealed: Option<&[u8]>,
) -> Result<Option<Endpoint>, Fault> {
    let done = sqlx::query(
        "UPDATE endpoints SET url = coalesce(?3, url), events = coalesce(?4, events),
             description = iif(?5, ?6, description), secrets = coalesce(?7, secrets), version = version + 1
         WHERE id = ?1 AND tenant_id = ?2",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .bind(change.url.as_deref())
    .bind(change.events.as_deref().map(|events: &[Pattern]| endpoint_rows::patterns_to_json(events)))
    .bind(change.description.is_some())
    .bind(change.description.as_ref().and_then(|text| text.as_deref()))
    .bind(sealed)
    .execute(&mut *tx)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    if let Some((status, at)) = change.status {
        set_status(tx, id, status, at).await?;
    }
    raise_tenant(tx, tenant).await?;
    get(tx, ring, tenant, id).await
}

/// Activation begins with a clean health (rule 9).
async fn set_status(
    tx: &mut SqliteConnection,
    id: EndpointId,
    status: EndpointStatus,
    at: Timestamp,
) -> Result<(), Fault> {
    let (reason, since) = endpoint_rows::suspension_columns(status);
    sqlx::query(
        "UPDATE endpoints SET status = ?2, suspend_reason = ?3, suspended_since = ?4,
             activated_at = iif(?5, ?6, activated_at), consecutive_failures = iif(?5, 0, consecutive_failures),
             failing_since = iif(?5, NULL, failing_since)
         WHERE id = ?1",
    )
    .bind(id.uuid())
    .bind(status.as_str())
    .bind(reason)
    .bind(since)
    .bind(status.is_active())
    .bind(at.as_micros())
    .execute(tx)
    .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Registry::delete_endpoint`].
pub(super) async fn delete(tx: &mut SqliteConnection, tenant: &TenantId, id: EndpointId) -> Result<bool, Fault> {
    let done = sqlx::query("DELETE FROM endpoints WHERE id = ?1 AND tenant_id = ?2")
        .bind(id.uuid())
        .bind(tenant.as_str())
        .execute(&mut *tx)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    cancel::of_endpoint(tx, id).await?;
    raise_tenant(tx, tenant).await?;
    Ok(true)
}
