//! What ingest reads and writes.

use sqlx::{Row as _, SqlitePool};
use whimbrel_core::endpoint::Subscriber;
use whimbrel_core::id::EndpointId;
use whimbrel_core::tenant::{TenantHead, TenantId};

use super::{endpoint_rows, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Intake::tenant_heads`].
pub(super) async fn tenant_heads(reads: &SqlitePool, ids: &[TenantId]) -> Result<Vec<TenantHead>, Fault> {
    static SELECT: Batch = Batch::new("SELECT id, contract, endpoints_version FROM tenants WHERE id IN (", "?", ")");
    let mut heads = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.as_str());
        }
        for row in query.fetch_all(reads).await? {
            heads.push(TenantHead {
                id: rows::tenant_id(row.try_get(0)?)?,
                contract: endpoint_rows::contract(row.try_get(1)?)?,
                endpoints_version: row.try_get(2)?,
            });
        }
    }
    Ok(heads)
}

/// See [`whimbrel_core::port::Intake::subscribers`]. One statement, so that version and endpoints are of one
/// moment; a tenant without endpoints still gives its version.
pub(super) async fn subscribers(reads: &SqlitePool, tenant: &TenantId) -> Result<(i64, Vec<Subscriber>), Fault> {
    let found = sqlx::query(
        "SELECT t.endpoints_version, e.id, e.events, e.version, e.status, e.suspend_reason, e.suspended_since
         FROM tenants t LEFT JOIN endpoints e ON e.tenant_id = t.id WHERE t.id = ?1 ORDER BY e.id",
    )
    .bind(tenant.as_str())
    .fetch_all(reads)
    .await?;
    let version = found.first().map_or(Ok(0), |row| row.try_get(0))?;
    let mut subscribers = Vec::with_capacity(found.len());
    for row in &found {
        let Some(id) = row.try_get(1)? else { continue };
        let id = EndpointId::from_uuid(id);
        subscribers.push(Subscriber {
            id,
            events: endpoint_rows::patterns(id, row.try_get(2)?)?,
            version: row.try_get(3)?,
            status: endpoint_rows::status(id, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?)?,
        });
    }
    Ok((version, subscribers))
}
