//! Starting a replay.

use sqlx::{SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::port::StoreError;
use whimbrel_core::replay::{Replay, ReplayKind};

use super::rows::{self, replay_columns};
use super::take;
use crate::fault::Fault;
use crate::writer::Writer;

/// See [`whimbrel_core::port::Replays::start_replay`]. Counting may take long, so it does not hold up the writer.
pub(in crate::store) async fn start(
    reads: &SqlitePool,
    writer: &Writer,
    replay: &Replay,
) -> Result<Option<Replay>, StoreError> {
    let total = take::count(reads, replay).await?;
    let replay = Replay { total, ..replay.clone() };
    writer.call(move |tx| Box::pin(async move { store(tx, replay).await })).await
}

async fn store(tx: &mut SqliteConnection, replay: Replay) -> Result<Option<Replay>, Fault> {
    let endpoint: Option<i64> = sqlx::query_scalar("SELECT 1 FROM endpoints WHERE id = ?1 AND tenant_id = ?2")
        .bind(replay.endpoint.uuid())
        .bind(replay.tenant.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if endpoint.is_none() {
        return Ok(None);
    }
    if let Some(running) = rival(tx, &replay).await? {
        return Ok(Some(running));
    }
    insert(tx, &replay).await?;
    Ok(Some(replay))
}

/// The running replay that takes the new one's place.
async fn rival(tx: &mut SqliteConnection, replay: &Replay) -> Result<Option<Replay>, Fault> {
    if replay.kind == ReplayKind::Replay {
        return Ok(None);
    }
    let row = sqlx::query(concat!(
        "SELECT ",
        replay_columns!(),
        " FROM replays WHERE endpoint_id = ?1 AND kind = ?2 AND state = 'running' AND kind <> 'replay'"
    ))
    .bind(replay.endpoint.uuid())
    .bind(replay.kind.as_str())
    .fetch_optional(tx)
    .await?;
    row.as_ref().map(rows::replay).transpose()
}

async fn insert(tx: &mut SqliteConnection, replay: &Replay) -> Result<(), Fault> {
    sqlx::query(concat!(
        "INSERT INTO replays (",
        replay_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    ))
    .bind(replay.id.uuid())
    .bind(replay.tenant.as_str())
    .bind(replay.endpoint.uuid())
    .bind(replay.kind.as_str())
    .bind(replay.filter.since.map(Timestamp::as_micros))
    .bind(replay.filter.until.map(Timestamp::as_micros))
    .bind(replay.filter.failed_only)
    .bind(rows::event_types_to_json(&replay.filter.event_types))
    .bind(replay.state.as_str())
    .bind(i64::try_from(replay.total).unwrap_or(i64::MAX))
    .bind(i64::try_from(replay.taken).unwrap_or(i64::MAX))
    .bind(replay.cursor.map(whimbrel_core::DeliveryId::uuid))
    .bind(replay.created_at.as_micros())
    .bind(replay.finished_at.map(Timestamp::as_micros))
    .execute(tx)
    .await?;
    Ok(())
}
