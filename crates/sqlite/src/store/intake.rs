//! What ingest reads.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::endpoint::Subscriber;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Subscriptions;
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::{TenantHead, TenantId};

use super::{endpoint_rows, rows, tenants};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Intake::tenant_heads`].
pub(super) async fn tenant_heads(reads: &SqlitePool, ids: &[TenantId]) -> Result<Vec<TenantHead>, Fault> {
    static SELECT: Batch =
        Batch::new("SELECT id, contract, limits, endpoints_version FROM tenants WHERE id IN (", "?", ")");
    let mut heads = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.as_str());
        }
        heads.extend(rows::all(&query.fetch_all(reads).await?, head)?);
    }
    Ok(heads)
}

fn head(row: &SqliteRow) -> Result<TenantHead, Fault> {
    let id = rows::tenant_id(row.try_get(0)?)?;
    Ok(TenantHead {
        contract: endpoint_rows::contract(row.try_get(1)?)?,
        limits: tenants::limits(&id, row.try_get(2)?)?,
        endpoints_version: row.try_get(3)?,
        id,
    })
}

/// See [`whimbrel_core::port::Intake::subscriptions`]. One transaction, so that version, endpoints and schemas are of
/// one moment.
pub(super) async fn subscriptions(reads: &SqlitePool, tenant: &TenantId) -> Result<Subscriptions, Fault> {
    let mut tx = reads.begin().await?;
    let version = sqlx::query_scalar("SELECT endpoints_version FROM tenants WHERE id = ?1")
        .bind(tenant.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(version) = version else { return Ok(Subscriptions::default()) };
    let subscribers = subscribers(&mut tx, tenant).await?;
    Ok(Subscriptions { version, subscribers, schemas: schemas(&mut tx, tenant).await? })
}

async fn subscribers(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<Vec<Subscriber>, Fault> {
    let found = sqlx::query(
        "SELECT id, events, version, status, suspend_reason, suspended_since, options
         FROM endpoints WHERE tenant_id = ?1 ORDER BY id",
    )
    .bind(tenant.as_str())
    .fetch_all(tx)
    .await?;
    rows::all(&found, |row| {
        let id = EndpointId::from_uuid(row.try_get(0)?);
        Ok(Subscriber {
            id,
            events: endpoint_rows::patterns(id, row.try_get(1)?)?,
            version: row.try_get(2)?,
            status: endpoint_rows::status(id, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?)?,
            filter: endpoint_rows::options(id, row.try_get(6)?)?.filter,
        })
    })
}

async fn schemas(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<Vec<(EventType, String)>, Fault> {
    let found = sqlx::query(
        "SELECT event_type, schema FROM event_types WHERE tenant_id = ?1 AND schema IS NOT NULL ORDER BY event_type",
    )
    .bind(tenant.as_str())
    .fetch_all(tx)
    .await?;
    rows::all(&found, |row| Ok((rows::event_type(row.try_get(0)?)?, row.try_get(1)?)))
}
