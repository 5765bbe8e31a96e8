//! Starting a replay: at most one of its kind runs at an endpoint, but for kind `Replay`.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use whimbrel_core::id::DeliveryId;
use whimbrel_core::replay::{Replay, ReplayKind};
use whimbrel_core::subscription::EventType;

use super::{replay, replay_columns, select};
use crate::fault::Fault;

pub(super) async fn start(pool: &PgPool, wanted: &Replay) -> Result<Option<Replay>, Fault> {
    let mut connection = pool.acquire().await?;
    loop {
        let mine: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM endpoints WHERE id = $1 AND tenant_id = $2)")
            .bind(wanted.endpoint.uuid())
            .bind(wanted.tenant.as_str())
            .fetch_one(&mut *connection)
            .await?;
        if !mine {
            return Ok(None);
        }
        if let Some(known) = known(&mut connection, wanted).await? {
            return Ok(Some(known));
        }
        let total = select::total(&mut connection, wanted).await?;
        let fresh = Replay { total, ..wanted.clone() };
        if insert(&mut connection, &fresh).await? {
            return Ok(Some(fresh));
        }
        // Somebody else was faster: theirs is the answer, unless it has ended already.
    }
}

/// This very replay, or the one that runs.
async fn known(connection: &mut PgConnection, wanted: &Replay) -> Result<Option<Replay>, Fault> {
    let row = sqlx::query(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays
         WHERE id = $1 OR (endpoint_id = $2 AND kind = $3 AND state = 'running' AND kind <> 'replay') LIMIT 1",
    ))
    .bind(wanted.id.uuid())
    .bind(wanted.endpoint.uuid())
    .bind(wanted.kind.as_str())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(replay).transpose()
}

async fn insert(connection: &mut PgConnection, fresh: &Replay) -> Result<bool, Fault> {
    let types: Vec<&str> = fresh.filter.event_types.iter().map(EventType::as_str).collect();
    let cursor = fresh.cursor.filter(|_| fresh.kind == ReplayKind::Replay);
    let inserted = sqlx::query(
        "INSERT INTO replays (id, tenant_id, endpoint_id, kind, since, until, failed_only, event_types, state, total,
                              taken, cursor, created_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
    )
    .bind(fresh.id.uuid())
    .bind(fresh.tenant.as_str())
    .bind(fresh.endpoint.uuid())
    .bind(fresh.kind.as_str())
    .bind(fresh.filter.since.map(OffsetDateTime::from))
    .bind(fresh.filter.until.map(OffsetDateTime::from))
    .bind(fresh.filter.failed_only)
    .bind(types)
    .bind(fresh.state.as_str())
    .bind(i64::try_from(fresh.total).unwrap_or(i64::MAX))
    .bind(i64::try_from(fresh.taken).unwrap_or(i64::MAX))
    .bind(cursor.map(DeliveryId::uuid))
    .bind(OffsetDateTime::from(fresh.created_at))
    .bind(fresh.finished_at.map(OffsetDateTime::from))
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
