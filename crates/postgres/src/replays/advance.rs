//! One step of a replay, under the locks of its row and then its endpoint's. Deliveries that others have locked are
//! passed over, so the step waits for nobody who settles and no lock order is broken.

use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::{DeliveryId, ReplayId};
use whimbrel_core::port::Advance;
use whimbrel_core::replay::{Replay, ReplayKind, ReplayState};

use super::{replay, replay_columns, select};
use crate::fault::Fault;
use crate::rows::{all, bounds, delivery};

/// Deliveries dropped in one step.
const DROP_MAX: u32 = 1_000;

/// What a step may do, as its endpoint stands.
enum Leave {
    /// Go on, with so many in flight at most.
    Go { window: u32 },
    /// Not now.
    Wait,
    /// Never again.
    Cancel,
}

pub(super) async fn advance(
    connection: &mut PgConnection,
    id: ReplayId,
    window: u32,
    now: Timestamp,
    sweep_at: Timestamp,
) -> Result<Advance, Fault> {
    let Some(mut replay) = lock_replay(connection, id).await? else {
        return Ok(Advance { taken: Vec::new(), in_flight: 0, state: ReplayState::Cancelled });
    };
    let mut taken = Vec::new();
    let mut in_flight = in_flight(connection, &replay).await?;
    if replay.state == ReplayState::Running {
        match leave(connection, &replay, window).await? {
            Leave::Cancel => replay.state = ReplayState::Cancelled,
            Leave::Wait => {}
            Leave::Go { window } => taken = go(connection, &mut replay, (window, &mut in_flight), sweep_at).await?,
        }
        store(connection, &replay, now).await?;
    }
    Ok(Advance { taken, in_flight, state: replay.state })
}

async fn lock_replay(connection: &mut PgConnection, id: ReplayId) -> Result<Option<Replay>, Fault> {
    let row = sqlx::query(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = $1 FOR UPDATE"))
        .bind(id.uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(replay).transpose()
}

/// Locks the endpoint: nothing becomes held or active until the step is done.
async fn leave(connection: &mut PgConnection, replay: &Replay, window: u32) -> Result<Leave, Fault> {
    let row = sqlx::query(
        "SELECT status = 'active', (options ->> 'in_flight_max')::bigint FROM endpoints WHERE id = $1 FOR UPDATE",
    )
    .bind(replay.endpoint.uuid())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(Leave::Cancel) };
    let (active, cap): (bool, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let cap = cap.map_or(window, |cap| u32::try_from(cap).unwrap_or(u32::MAX));
    Ok(match replay.kind {
        ReplayKind::Release if !active => Leave::Cancel,
        ReplayKind::Replay if !active => Leave::Wait,
        // What is deferred becomes held by itself when its endpoint is not active (rule 7).
        _ => Leave::Go { window: window.min(cap) },
    })
}

/// Takes what there is room for; done when there is nothing more and nothing in flight.
async fn go(
    connection: &mut PgConnection,
    replay: &mut Replay,
    (window, in_flight): (u32, &mut u32),
    sweep_at: Timestamp,
) -> Result<Vec<Delivery>, Fault> {
    let room = match replay.kind {
        ReplayKind::Drop => DROP_MAX,
        _ => window.saturating_sub(*in_flight),
    };
    let next = if room == 0 { Vec::new() } else { select::next(connection, replay, room).await? };
    let taken = match replay.kind {
        ReplayKind::Drop => {
            drop(connection, &next).await?;
            replay.taken += next.len() as u64;
            Vec::new()
        }
        _ => take(connection, replay, &next, sweep_at).await?,
    };
    replay.taken += taken.len() as u64;
    *in_flight = in_flight.saturating_add(u32::try_from(taken.len()).unwrap_or(u32::MAX));
    if replay.kind == ReplayKind::Replay {
        replay.cursor = next.last().copied().map(DeliveryId::from_uuid).or(replay.cursor);
    }
    if *in_flight == 0 && !select::any(connection, replay).await? {
        replay.state = ReplayState::Done;
    }
    Ok(taken)
}

/// Those taken whose first attempt has no outcome yet. What the sender deferred counts until a `Deferred` takes it, for
/// which it does not count: it is what is to be taken. Counted once a step, since only this replay's steps add to them,
/// one by one: outcomes that come in meanwhile are seen by the next.
async fn in_flight(connection: &mut PgConnection, replay: &Replay) -> Result<u32, Fault> {
    let count: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM deliveries
         WHERE replay_id = $1 AND state IN ('pending', 'waiting')
           AND CASE WHEN $2 THEN state = 'pending' ELSE attempt = first_attempt END",
    )
    .bind(replay.id.uuid())
    .bind(replay.kind == ReplayKind::Deferred)
    .fetch_one(connection)
    .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Makes locked deliveries pending. A new round's first number is one past the awaited or last one (rule 1). An erasure
/// may have come before the locks, so a replay asks for the payload once more.
async fn take(
    connection: &mut PgConnection,
    replay: &Replay,
    ids: &[Uuid],
    sweep_at: Timestamp,
) -> Result<Vec<Delivery>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (low, high) = bounds(ids);
    let rows = sqlx::query(
        "UPDATE deliveries d SET state = 'pending', reason = NULL, state_at = NULL, replay_id = $4, sweep_at = $5,
                sweeps = 0, round = d.round + $6, attempt = d.attempt + $6,
                first_attempt = CASE $6 WHEN 0 THEN d.first_attempt ELSE d.attempt + $6 END
         WHERE d.id = ANY($1) AND d.id BETWEEN $2 AND $3
           AND ($7 OR (SELECT octet_length(e.body) > 0 FROM events e WHERE e.id = d.event_id))
         RETURNING d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .bind(replay.id.uuid())
    .bind(OffsetDateTime::from(sweep_at))
    .bind(i32::from(replay.kind != ReplayKind::Deferred))
    .bind(replay.kind != ReplayKind::Replay)
    .fetch_all(connection)
    .await?;
    let mut taken = all(&rows, delivery)?;
    taken.sort_unstable_by_key(|delivery| delivery.id);
    Ok(taken)
}

/// Gives locked deliveries up.
async fn drop(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), Fault> {
    let (low, high) = bounds(ids);
    sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .execute(connection)
    .await?;
    Ok(())
}

async fn store(connection: &mut PgConnection, replay: &Replay, now: Timestamp) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE replays SET state = $2, taken = $3, cursor = $4, finished_at = CASE WHEN $2 <> 'running' THEN $5 END
         WHERE id = $1 AND (state, taken, cursor) IS DISTINCT FROM ($2, $3, $4)",
    )
    .bind(replay.id.uuid())
    .bind(replay.state.as_str())
    .bind(i64::try_from(replay.taken).unwrap_or(i64::MAX))
    .bind(replay.cursor.map(DeliveryId::uuid))
    .bind(OffsetDateTime::from(now))
    .execute(connection)
    .await?;
    Ok(())
}
