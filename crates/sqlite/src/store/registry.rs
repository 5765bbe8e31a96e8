//! Endpoints. Every change raises the endpoint's version and its tenant's (rule 10).

use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint, EndpointStatus};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{Clock, EndpointChange, Page, Updated};
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::secret::SecretPair;
use whimbrel_core::subscription::Pattern;
use whimbrel_core::tenant::TenantId;

use super::{cancel, endpoint_rows, rows, tenants};
use crate::fault::Fault;

/// An endpoint's secrets and headers as they are written; what is absent stays as it is.
pub(super) struct Sealed {
    secrets: Option<Vec<u8>>,
    /// Empty when there are no headers: then the column is NULL.
    headers: Option<Vec<u8>>,
}

impl Sealed {
    /// Seals what is to be written.
    pub(super) fn new(
        ring: &KeyRing,
        clock: &dyn Clock,
        id: EndpointId,
        secrets: Option<&SecretPair>,
        headers: Option<&CustomHeaders>,
    ) -> Self {
        let seal_headers = |headers: &CustomHeaders| {
            if headers.is_empty() { Vec::new() } else { ring.seal_headers(headers, id, clock) }
        };
        Self { secrets: secrets.map(|secrets| ring.seal(secrets, id, clock)), headers: headers.map(seal_headers) }
    }
}

/// See [`whimbrel_core::port::Registry::create_endpoint`] (rule 30).
pub(super) async fn create(
    tx: &mut SqliteConnection,
    endpoint: &Endpoint,
    sealed: &Sealed,
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
    tenants::raise_version(tx, &endpoint.tenant).await?;
    Ok(true)
}

/// A new endpoint begins announced: nobody holds a copy of it yet.
async fn insert(tx: &mut SqliteConnection, endpoint: &Endpoint, sealed: &Sealed) -> Result<(), Fault> {
    let (reason, since) = endpoint_rows::suspension_columns(endpoint.status);
    sqlx::query(
        "INSERT INTO endpoints (id, tenant_id, url, events, description, secrets, headers, options, status,
             suspend_reason, suspended_since, consecutive_failures, failing_since, activated_at, version, created_at,
             announced_version, announced_status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, x''), ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?15, ?9)",
    )
    .bind(endpoint.id.uuid())
    .bind(endpoint.tenant.as_str())
    .bind(&endpoint.url)
    .bind(endpoint_rows::patterns_to_json(&endpoint.events))
    .bind(endpoint.description.as_deref())
    .bind(sealed.secrets.as_deref())
    .bind(sealed.headers.as_deref())
    .bind(endpoint_rows::options_to_json(&endpoint.options))
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
    let row = sqlx::query(endpoint_rows::select_endpoint!("WHERE e.id = ?1 AND e.tenant_id = ?2"))
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
    let found =
        sqlx::query(endpoint_rows::select_endpoint!("WHERE e.tenant_id = ?1 AND e.id > ?2 ORDER BY e.id LIMIT ?3"))
            .bind(tenant.as_str())
            .bind(page.after.map_or(Uuid::nil(), EndpointId::uuid))
            .bind(page.limit)
            .fetch_all(reads)
            .await?;
    rows::all(&found, |row| endpoint_rows::endpoint(row, ring))
}

/// See [`whimbrel_core::port::Registry::update_endpoint`].
pub(super) async fn update(
    tx: &mut SqliteConnection,
    ring: &KeyRing,
    (tenant, id): (&TenantId, EndpointId),
    change: &EndpointChange,
    sealed: &Sealed,
) -> Result<Updated, Fault> {
    let Some(version) = version(tx, tenant, id).await? else { return Ok(Updated::Unknown) };
    if change.if_version.is_some_and(|expected| expected != version) {
        return Ok(Updated::Stale);
    }
    set(tx, id, change, sealed).await?;
    if let Some((status, at)) = change.status {
        set_status(tx, id, status, at).await?;
    }
    tenants::raise_version(tx, tenant).await?;
    let changed = get(tx, ring, tenant, id).await?;
    Ok(changed.map_or(Updated::Unknown, |endpoint| Updated::Done(Box::new(endpoint))))
}

async fn version(tx: &mut SqliteConnection, tenant: &TenantId, id: EndpointId) -> Result<Option<i64>, Fault> {
    Ok(sqlx::query_scalar("SELECT version FROM endpoints WHERE id = ?1 AND tenant_id = ?2")
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(tx)
        .await?)
}

async fn set(tx: &mut SqliteConnection, id: EndpointId, change: &EndpointChange, sealed: &Sealed) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE endpoints SET url = coalesce(?2, url), events = coalesce(?3, events),
             description = iif(?4, ?5, description), secrets = coalesce(?6, secrets), headers = nullif(coalesce(?7, headers), x''),
             options = coalesce(?8, options), version = version + 1
         WHERE id = ?1",
    )
    .bind(id.uuid())
    .bind(change.url.as_deref())
    .bind(change.events.as_deref().map(|events: &[Pattern]| endpoint_rows::patterns_to_json(events)))
    .bind(change.description.is_some())
    .bind(change.description.as_ref().and_then(|text| text.as_deref()))
    .bind(sealed.secrets.as_deref())
    .bind(sealed.headers.as_deref())
    .bind(change.options.as_ref().map(endpoint_rows::options_to_json))
    .execute(tx)
    .await?;
    Ok(())
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
    if version(tx, tenant, id).await?.is_none() {
        return Ok(false);
    }
    cancel::of_endpoint(tx, id).await?;
    sqlx::query("DELETE FROM endpoints WHERE id = ?1").bind(id.uuid()).execute(&mut *tx).await?;
    tenants::raise_version(tx, tenant).await
}
