//! Looking at replays, and stopping them.

use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::{EndpointId, ReplayId};
use whimbrel_core::port::Page;
use whimbrel_core::replay::Replay;
use whimbrel_core::tenant::TenantId;

use super::super::rows as store_rows;
use super::rows::{self, replay_columns};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Replays::replay`].
pub(in crate::store) async fn get<'e, E>(from: E, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>, Fault>
where
    E: sqlx::Executor<'e, Database = sqlx::Sqlite>,
{
    let row = sqlx::query(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = ?1 AND tenant_id = ?2"))
        .bind(id.uuid())
        .bind(tenant.as_str())
        .fetch_optional(from)
        .await?;
    row.as_ref().map(rows::replay).transpose()
}

/// See [`whimbrel_core::port::Replays::replays`].
pub(in crate::store) async fn list(
    reads: &SqlitePool,
    tenant: &TenantId,
    endpoint: Option<EndpointId>,
    page: Page<ReplayId>,
) -> Result<Vec<Replay>, Fault> {
    let found = sqlx::query(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE tenant_id = ?1 AND kind <> 'deferred' AND id < ?2 AND (?3 IS NULL OR endpoint_id = ?3)
         ORDER BY id DESC LIMIT ?4"
    ))
    .bind(tenant.as_str())
    .bind(page.after.map_or(Uuid::max(), ReplayId::uuid))
    .bind(endpoint.map(EndpointId::uuid))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    store_rows::all(&found, rows::replay)
}

/// See [`whimbrel_core::port::Replays::running_replays`].
pub(in crate::store) async fn running(reads: &SqlitePool, page: Page<ReplayId>) -> Result<Vec<Replay>, Fault> {
    let found = sqlx::query(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE state = 'running' AND id > ?1 ORDER BY id LIMIT ?2"
    ))
    .bind(page.after.map_or(Uuid::nil(), ReplayId::uuid))
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    store_rows::all(&found, rows::replay)
}

/// See [`whimbrel_core::port::Replays::cancel_replay`].
pub(in crate::store) async fn cancel(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    id: ReplayId,
    now: Timestamp,
) -> Result<Option<Replay>, Fault> {
    sqlx::query(
        "UPDATE replays SET state = 'cancelled', finished_at = ?3
         WHERE id = ?1 AND tenant_id = ?2 AND state = 'running'",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .bind(now.as_micros())
    .execute(&mut *tx)
    .await?;
    get(tx, tenant, id).await
}
