//! Which version of an endpoint was announced last (rule 11).

use sqlx::{PgPool, Row as _};
use uuid::Uuid;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Unannounced;

use crate::fault::Fault;
use crate::rows::{all, endpoint_status, maybe_at, tenant_id};

pub(super) async fn unannounced(pool: &PgPool, limit: u32) -> Result<Vec<Unannounced>, Fault> {
    let rows = sqlx::query(
        "SELECT id, tenant_id, url, version, status, suspend_reason, suspended_since, activated_at, announced_status
         FROM endpoints WHERE announced_version <> version ORDER BY id LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    all(&rows, |row| {
        Ok(Unannounced {
            endpoint: EndpointId::from_uuid(row.try_get(0)?),
            tenant: tenant_id(row.try_get(1)?)?,
            url: row.try_get(2)?,
            version: row.try_get(3)?,
            status: endpoint_status(row, 4)?,
            activated_at: maybe_at(row, 7)?,
            announced_status: row.try_get(8)?,
        })
    })
}

/// A later announcement is not taken back.
pub(super) async fn announced(pool: &PgPool, rows: &[(EndpointId, i64, &'static str)]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    // In id order, as settling locks endpoints.
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_unstable_by_key(|row| (row.0, row.1));
    sqlx::query(
        "WITH said AS (
             SELECT DISTINCT ON (id) * FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS s (id, version, status)
             ORDER BY id, version DESC
         ), locked AS MATERIALIZED (
             SELECT e.id FROM endpoints e WHERE e.id IN (SELECT id FROM said) ORDER BY e.id FOR UPDATE
         )
         UPDATE endpoints e SET announced_version = said.version, announced_status = said.status
         FROM said JOIN locked USING (id) WHERE e.id = said.id AND e.announced_version < said.version",
    )
    .bind(sorted.iter().map(|row| row.0.uuid()).collect::<Vec<Uuid>>())
    .bind(sorted.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(sorted.iter().map(|row| row.2).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}
