//! Which deliveries a replay is about. Their states stand in the statements as words, so that the partial indexes
//! serve; bounds of ids keep other days' partitions out.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use uuid::Uuid;
use whimbrel_core::id::DeliveryId;
use whimbrel_core::replay::{Replay, ReplayKind};

use crate::fault::Fault;
use crate::rows::count;

/// One kind's statements. Each takes `$1` endpoint, `$2` lowest id, `$3` the id passed last, `$4` the id past the
/// highest, `$5` event types; [`Self::next`] also `$6`, how many.
struct Statements {
    next: &'static str,
    any: &'static str,
    count: &'static str,
}

macro_rules! statements {
    ($state:literal, $lock:literal) => {
        Statements {
            next: concat!("SELECT d.id ", matching!($state), " ORDER BY d.id LIMIT $6", $lock),
            any: concat!("SELECT EXISTS (SELECT 1 ", matching!($state), ")"),
            count: concat!("SELECT count(*) ", matching!($state)),
        }
    };
}

macro_rules! matching {
    ($state:literal) => {
        concat!(
            "FROM deliveries d
             WHERE d.endpoint_id = $1 AND d.id >= $2 AND d.id > $3 AND d.id < $4
               AND (cardinality($5::text[]) = 0 OR d.event_type = ANY($5)) AND ",
            $state
        )
    };
}

const HELD: Statements = statements!("d.state = 'held'", " FOR UPDATE SKIP LOCKED");
const DEFERRED: Statements = statements!("d.state = 'waiting' AND d.reason = 'deferred'", " FOR UPDATE SKIP LOCKED");
// An event and its deliveries share their milliseconds, and so the bounds. Not locked here: see `lock`.
const FINISHED: Statements = statements!(
    "d.state IN ('succeeded', 'failed') AND (
         SELECT octet_length(e.body) > 0 FROM events e WHERE e.id = d.event_id AND e.id >= $2 AND e.id < $4)",
    ""
);
const FAILED: Statements = statements!(
    "d.state = 'failed' AND (
         SELECT octet_length(e.body) > 0 FROM events e WHERE e.id = d.event_id AND e.id >= $2 AND e.id < $4)",
    ""
);

fn statements(replay: &Replay) -> &'static Statements {
    match replay.kind {
        ReplayKind::Release | ReplayKind::Drop => &HELD,
        ReplayKind::Deferred => &DEFERRED,
        ReplayKind::Replay if replay.filter.failed_only => &FAILED,
        ReplayKind::Replay => &FINISHED,
    }
}

fn bound(statement: &'static str, replay: &Replay) -> Query<'static, Postgres, PgArguments> {
    let since = replay.filter.since.map_or(Uuid::nil(), |at| DeliveryId::first_at(at).uuid());
    let passed = replay.cursor.map_or(Uuid::nil(), DeliveryId::uuid);
    // Without the random part: an event's id lies anywhere in its millisecond.
    let passed_millisecond = Uuid::from_u128(passed.as_u128() >> 80 << 80);
    let types: Vec<String> = replay.filter.event_types.iter().map(ToString::to_string).collect();
    sqlx::query(statement)
        .bind(replay.endpoint.uuid())
        .bind(since.max(passed_millisecond))
        .bind(passed)
        .bind(replay.filter.until.map_or(Uuid::max(), |at| DeliveryId::first_at(at).uuid()))
        .bind(types)
}

/// The next `limit` in id order, locked, without those that others have locked.
pub(super) async fn next(connection: &mut PgConnection, replay: &Replay, limit: u32) -> Result<Vec<Uuid>, Fault> {
    let rows = bound(statements(replay).next, replay).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    let ids = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<Uuid>, Fault>>()?;
    match replay.kind {
        ReplayKind::Replay => lock(connection, ids).await,
        ReplayKind::Release | ReplayKind::Drop | ReplayKind::Deferred => Ok(ids),
    }
}

/// Locks as many of the first ones as nobody else has locked: the cursor must not pass one that was left out.
async fn lock(connection: &mut PgConnection, ids: Vec<Uuid>) -> Result<Vec<Uuid>, Fault> {
    let (Some(low), Some(high)) = (ids.first(), ids.last()) else { return Ok(ids) };
    let locked: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM deliveries
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND state IN ('succeeded', 'failed') ORDER BY id
         FOR UPDATE SKIP LOCKED",
    )
    .bind(&ids)
    .bind(*low)
    .bind(*high)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().zip(locked).take_while(|(wanted, got)| wanted == got).map(|(id, _)| id).collect())
}

/// Whether there is one, locked or not.
pub(super) async fn any(connection: &mut PgConnection, replay: &Replay) -> Result<bool, Fault> {
    Ok(bound(statements(replay).any, replay).fetch_one(connection).await?.try_get(0)?)
}

/// How many there are.
pub(super) async fn total(connection: &mut PgConnection, replay: &Replay) -> Result<u64, Fault> {
    count(&bound(statements(replay).count, replay).fetch_one(connection).await?, 0)
}
