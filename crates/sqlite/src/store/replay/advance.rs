//! One step of a replay. The writer is alone, which is all the locking there is.

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::id::{DeliveryId, EndpointId, ReplayId};
use whimbrel_core::port::Advance;
use whimbrel_core::replay::{Replay, ReplayKind, ReplayState};

use super::super::{endpoint_rows, retry};
use super::rows::{self, replay_columns};
use super::take::{self, Found};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// Held deliveries that one step of a drop cancels.
const DROPPED_MAX: u32 = 1_000;

/// What is asked of a step.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Step {
    pub(in crate::store) replay: ReplayId,
    pub(in crate::store) window: u32,
    pub(in crate::store) now: Timestamp,
    pub(in crate::store) sweep_at: Timestamp,
}

/// What a step needs to know of the endpoint.
struct Target {
    active: bool,
    in_flight_max: Option<u32>,
}

/// How far a step came.
#[derive(Default)]
struct Progress {
    taken: u64,
    cursor: Option<DeliveryId>,
}

/// See [`whimbrel_core::port::Replays::advance_replay`].
pub(in crate::store) async fn advance(tx: &mut SqliteConnection, step: Step) -> Result<Advance, Fault> {
    let Some(replay) = get(tx, step.replay).await? else {
        return Ok(Advance { taken: Vec::new(), in_flight: 0, state: ReplayState::Cancelled });
    };
    if replay.state != ReplayState::Running {
        return still(tx, &replay, replay.state).await;
    }
    let target = target(tx, replay.endpoint).await?;
    match (replay.kind, target) {
        (_, None) | (ReplayKind::Release, Some(Target { active: false, .. })) => {
            note(tx, &replay, ReplayState::Cancelled, step.now, Progress::default()).await?;
            still(tx, &replay, ReplayState::Cancelled).await
        }
        (ReplayKind::Drop, Some(_)) => drop_held(tx, &replay, step).await,
        (ReplayKind::Release | ReplayKind::Deferred | ReplayKind::Replay, Some(target)) => {
            go_on(tx, &replay, &target, step).await
        }
    }
}

async fn get(tx: &mut SqliteConnection, id: ReplayId) -> Result<Option<Replay>, Fault> {
    let row = sqlx::query(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = ?1"))
        .bind(id.uuid())
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(rows::replay).transpose()
}

async fn target(tx: &mut SqliteConnection, id: EndpointId) -> Result<Option<Target>, Fault> {
    let row = sqlx::query("SELECT status = 'active', options FROM endpoints WHERE id = ?1")
        .bind(id.uuid())
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let options = endpoint_rows::options(id, row.try_get(1)?)?;
    Ok(Some(Target { active: row.try_get(0)?, in_flight_max: options.in_flight_max }))
}

/// The answer when nothing is taken.
async fn still(tx: &mut SqliteConnection, replay: &Replay, state: ReplayState) -> Result<Advance, Fault> {
    Ok(Advance { taken: Vec::new(), in_flight: in_flight(tx, replay).await?, state })
}

/// Deliveries taken whose first attempt has no outcome yet. One that waits as deferred has none either, but is for the
/// deferred kind to take again.
async fn in_flight(tx: &mut SqliteConnection, replay: &Replay) -> Result<u32, Fault> {
    let statement = match replay.kind {
        ReplayKind::Deferred => {
            "SELECT count(*) FROM deliveries
             WHERE replay_id = ?1 AND state IN ('pending', 'waiting') AND state = 'pending'"
        }
        _ => {
            "SELECT count(*) FROM deliveries
             WHERE replay_id = ?1 AND state IN ('pending', 'waiting') AND attempt = first_attempt"
        }
    };
    Ok(sqlx::query_scalar(statement).bind(replay.id.uuid()).fetch_one(tx).await?)
}

async fn drop_held(tx: &mut SqliteConnection, replay: &Replay, step: Step) -> Result<Advance, Fault> {
    let (from, to) = rows::bounds(&replay.filter);
    let done = sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL WHERE id IN (
             SELECT id FROM deliveries INDEXED BY deliveries_held
             WHERE state = 'held' AND endpoint_id = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4)",
    )
    .bind(replay.endpoint.uuid())
    .bind(from)
    .bind(to)
    .bind(DROPPED_MAX)
    .execute(&mut *tx)
    .await?;
    let taken = done.rows_affected();
    let state = if taken < u64::from(DROPPED_MAX) { ReplayState::Done } else { ReplayState::Running };
    note(tx, replay, state, step.now, Progress { taken, cursor: None }).await?;
    still(tx, replay, state).await
}

async fn go_on(tx: &mut SqliteConnection, replay: &Replay, target: &Target, step: Step) -> Result<Advance, Fault> {
    let before = in_flight(tx, replay).await?;
    let window = target.in_flight_max.map_or(step.window, |max| max.min(step.window));
    let waits = !target.active && replay.kind == ReplayKind::Replay;
    let room = if waits { 0 } else { window.saturating_sub(before) };
    if room == 0 && before > 0 {
        return Ok(Advance { taken: Vec::new(), in_flight: before, state: ReplayState::Running });
    }
    let Found { deliveries, cursor, more } = take::next(tx, replay, room).await?;
    let taken: Vec<Delivery> = deliveries.into_iter().map(|delivery| as_taken(replay.kind, delivery)).collect();
    write(tx, replay.id, &taken, step.sweep_at).await?;
    let in_flight = before + u32::try_from(taken.len()).unwrap_or(u32::MAX);
    let state = if in_flight == 0 && !more { ReplayState::Done } else { ReplayState::Running };
    note(tx, replay, state, step.now, Progress { taken: taken.len() as u64, cursor }).await?;
    Ok(Advance { taken, in_flight, state })
}

/// A delivery as it is once it was taken.
fn as_taken(kind: ReplayKind, delivery: Delivery) -> Delivery {
    match kind {
        ReplayKind::Deferred => Delivery { state: DeliveryState::Pending, ..delivery },
        _ => retry::next_round(delivery, DeliveryState::Pending),
    }
}

async fn write(
    tx: &mut SqliteConnection,
    replay: ReplayId,
    taken: &[Delivery],
    sweep_at: Timestamp,
) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'pending', reason = NULL, state_at = NULL, round = v.column2,
             first_attempt = v.column3, attempt = v.column4, sweep_at = v.column5, sweeps = 0, replay_id = v.column6
         FROM (VALUES ",
        "(?,?,?,?,?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    for chunk in taken.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for delivery in chunk {
            query = query
                .bind(delivery.id.uuid())
                .bind(delivery.round)
                .bind(delivery.first_attempt)
                .bind(delivery.attempt)
                .bind(sweep_at.as_micros())
                .bind(replay.uuid());
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes down how far the replay is.
async fn note(
    tx: &mut SqliteConnection,
    replay: &Replay,
    state: ReplayState,
    now: Timestamp,
    progress: Progress,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE replays SET state = ?2, finished_at = iif(?2 = 'running', NULL, ?3), taken = taken + ?4,
             cursor = coalesce(?5, cursor)
         WHERE id = ?1",
    )
    .bind(replay.id.uuid())
    .bind(state.as_str())
    .bind(now.as_micros())
    .bind(i64::try_from(progress.taken).unwrap_or(i64::MAX))
    .bind(progress.cursor.map(DeliveryId::uuid))
    .execute(tx)
    .await?;
    Ok(())
}
