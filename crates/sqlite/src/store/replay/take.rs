//! Which deliveries a replay takes next.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::DeliveryId;
use whimbrel_core::replay::{Replay, ReplayKind};

use super::super::rows::{self as store_rows, delivery_columns};
use super::rows;
use crate::fault::Fault;

/// Past deliveries that one step looks at, so that a filter that matches next to nothing does not hold up the writer.
const LOOKED_AT_MAX: u32 = 5_000;

/// What there is to take.
pub(super) struct Found {
    /// As many as were asked for, in id order.
    pub(super) deliveries: Vec<Delivery>,
    /// From where to go on, if it moves.
    pub(super) cursor: Option<DeliveryId>,
    /// Whether there is more, or may be.
    pub(super) more: bool,
}

/// The condition that a delivery of the endpoint ?1 between the ids ?2 and ?3 is held, or waits as deferred.
macro_rules! stopped {
    (held) => {
        "deliveries INDEXED BY deliveries_held WHERE state = 'held' AND endpoint_id = ?1 AND id >= ?2 AND id < ?3"
    };
    (deferred) => {
        "deliveries INDEXED BY deliveries_deferred WHERE state = 'waiting' AND reason = 'deferred'
             AND endpoint_id = ?1 AND id >= ?2 AND id < ?3"
    };
}

/// The condition that a delivery `d` of the endpoint ?1 ended, within the ids ?2 and ?3, with ?4 as failed, of one of the
/// types ?5, and that there is something to send.
macro_rules! past {
    () => {
        "deliveries d CROSS JOIN events e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
         WHERE d.endpoint_id = ?1 AND d.id >= ?2 AND d.id < ?3
             AND (d.state = 'failed' OR (d.state = 'succeeded' AND NOT ?4))
             AND (?5 IS NULL OR d.event_type IN (SELECT value FROM json_each(?5)))
             AND length(e.body) > 0"
    };
}

/// How many there are.
pub(super) async fn count(reads: &SqlitePool, replay: &Replay) -> Result<u64, Fault> {
    let statement = match replay.kind {
        ReplayKind::Release | ReplayKind::Drop => concat!("SELECT count(*) FROM ", stopped!(held)),
        ReplayKind::Deferred => concat!("SELECT count(*) FROM ", stopped!(deferred)),
        ReplayKind::Replay => concat!("SELECT count(*) FROM ", past!()),
    };
    let (from, to) = rows::bounds(&replay.filter);
    let mut query = sqlx::query_scalar(statement).bind(replay.endpoint.uuid()).bind(from).bind(to);
    if replay.kind == ReplayKind::Replay {
        query = query.bind(replay.filter.failed_only).bind(event_types(replay));
    }
    Ok(query.fetch_one(reads).await?)
}

fn event_types(replay: &Replay) -> Option<String> {
    let types = &replay.filter.event_types;
    (!types.is_empty()).then(|| rows::event_types_to_json(types))
}

/// Looks for up to `room` deliveries, and for one more.
pub(super) async fn next(tx: &mut SqliteConnection, replay: &Replay, room: u32) -> Result<Found, Fault> {
    if replay.kind == ReplayKind::Replay {
        return next_past(tx, replay, room).await;
    }
    let statement = match replay.kind {
        ReplayKind::Deferred => {
            concat!("SELECT ", delivery_columns!(), " FROM ", stopped!(deferred), " ORDER BY id LIMIT ?4")
        }
        _ => concat!("SELECT ", delivery_columns!(), " FROM ", stopped!(held), " ORDER BY id LIMIT ?4"),
    };
    let (from, to) = rows::bounds(&replay.filter);
    let found = sqlx::query(statement)
        .bind(replay.endpoint.uuid())
        .bind(from)
        .bind(to)
        .bind(i64::from(room) + 1)
        .fetch_all(tx)
        .await?;
    let (deliveries, more) = cut(store_rows::all(&found, store_rows::delivery)?, room);
    Ok(Found { deliveries, cursor: None, more })
}

/// The first `room` of them, and whether there were more.
fn cut(mut deliveries: Vec<Delivery>, room: u32) -> (Vec<Delivery>, bool) {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let more = deliveries.len() > room;
    deliveries.truncate(room);
    (deliveries, more)
}

async fn next_past(tx: &mut SqliteConnection, replay: &Replay, room: u32) -> Result<Found, Fault> {
    let (from, to) = rows::bounds(&replay.filter);
    let from = replay.cursor.map_or(from, |cursor| from.max(after(cursor.uuid())));
    let reach = reach(tx, replay, from, to).await?;
    let found = sqlx::query(concat!(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt FROM ",
        past!(),
        " ORDER BY d.id LIMIT ?6"
    ))
    .bind(replay.endpoint.uuid())
    .bind(from)
    .bind(reach.map_or(to, after))
    .bind(replay.filter.failed_only)
    .bind(event_types(replay))
    .bind(i64::from(room) + 1)
    .fetch_all(tx)
    .await?;
    let (deliveries, more) = cut(store_rows::all(&found, store_rows::delivery)?, room);
    let last = deliveries.last().map(|delivery| delivery.id);
    let cursor = if more { last } else { reach.map(DeliveryId::from_uuid).or(last) };
    Ok(Found { deliveries, cursor, more: more || reach.is_some() })
}

/// The last delivery that this step looks at; `None` when it looks at all that there are.
async fn reach(tx: &mut SqliteConnection, replay: &Replay, from: Uuid, to: Uuid) -> Result<Option<Uuid>, Fault> {
    let row = sqlx::query(
        "SELECT id FROM deliveries INDEXED BY deliveries_of_endpoint
         WHERE endpoint_id = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT 1 OFFSET ?4",
    )
    .bind(replay.endpoint.uuid())
    .bind(from)
    .bind(to)
    .bind(LOOKED_AT_MAX - 1)
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The id right after this one.
fn after(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}
