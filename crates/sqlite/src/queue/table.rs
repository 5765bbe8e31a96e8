//! The table `messages`, statement by statement.

use futures::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::place::{self, Place};
use super::stored::{Outgoing, Stored};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// What [`stored`] reads, in its order.
macro_rules! stored_columns {
    () => {
        "id, redeliveries, message_id, content_type, kind, headers, payload"
    };
}
pub(super) use stored_columns;

/// Begins a transaction, deletes in it what was acked, and for calls sets the savepoint `call`. In one go: the connection's
/// statements run on a thread of its own, and to be asked and to answer costs more than a short one does.
pub(crate) async fn begin(tx: &mut SqliteConnection, acked: &[i64], for_calls: bool) -> Result<(), Fault> {
    const DELETE: &str = "DELETE FROM messages WHERE id IN (";
    const BEGIN_DELETE: &str = "BEGIN IMMEDIATE; DELETE FROM messages WHERE id IN (";
    const SAVEPOINT: &str = "); SAVEPOINT call";
    static FIRST: [Batch; 2] = [Batch::new(BEGIN_DELETE, "?", ")"), Batch::new(BEGIN_DELETE, "?", SAVEPOINT)];
    static NEXT: [Batch; 2] = [Batch::new(DELETE, "?", ")"), Batch::new(DELETE, "?", SAVEPOINT)];
    if acked.is_empty() {
        let begin = if for_calls { "BEGIN IMMEDIATE; SAVEPOINT call" } else { "BEGIN IMMEDIATE" };
        sqlx::query(begin).execute(&mut *tx).await?;
    }
    let chunks = acked.chunks(ROWS_MAX);
    let last = chunks.len();
    for (number, chunk) in (1..).zip(chunks) {
        let statements = if number == 1 { &FIRST } else { &NEXT };
        let statement = &statements[usize::from(number == last && for_calls)];
        let mut query = sqlx::query(statement.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id);
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Writes messages, whose ids are given, and commits; in one go, too.
pub(crate) async fn commit(tx: &mut SqliteConnection, messages: &[&Outgoing]) -> Result<(), Fault> {
    const HEAD: &str =
        "INSERT INTO messages (id, due_at, tier, lane, redeliveries, message_id, content_type, kind, headers, payload)
         SELECT * FROM (VALUES ";
    const ROW: &str = "(?,?,?,?,?,?,?,?,?,?)";
    static INSERT: Batch = Batch::new(HEAD, ROW, ") WHERE column1 IS NOT NULL");
    static INSERT_COMMIT: Batch = Batch::new(HEAD, ROW, ") WHERE column1 IS NOT NULL; COMMIT");
    if messages.is_empty() {
        sqlx::query("COMMIT").execute(&mut *tx).await?;
    }
    let chunks = messages.chunks(ROWS_MAX);
    let last = chunks.len();
    for (number, chunk) in (1..).zip(chunks) {
        let statement = if number == last { &INSERT_COMMIT } else { &INSERT };
        let mut query = sqlx::query(statement.sql(chunk.len()));
        for Outgoing { place, message } in chunk {
            query = query.bind(message.id);
            query = match place {
                Place::Ready(_) => query.bind(None::<i64>).bind(None::<String>).bind(None::<&str>),
                Place::Delayed { tier, lane, due_at } => {
                    query.bind(due_at.as_micros()).bind(tier.to_string()).bind(lane.as_str())
                }
            };
            query = query
                .bind(message.redeliveries)
                .bind(&message.message_id)
                .bind(&message.content_type)
                .bind(&message.kind)
                .bind(headers_to_json(&message.headers))
                .bind(&message.payload[..]);
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

fn headers_to_json(headers: &[(String, String)]) -> Option<String> {
    (!headers.is_empty()).then(|| serde_json::json!(headers).to_string())
}

/// Takes 64 KiB of the file and gives them back: fails while there is no room.
pub(crate) async fn take_room(tx: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO messages (id, message_id, content_type, kind, payload) VALUES (0, '', '', '', zeroblob(65536))",
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query("DELETE FROM messages WHERE id = 0").execute(tx).await?;
    Ok(())
}

/// Reads messages of one stretch in order, until there are `count` of them or `bytes`.
pub(crate) async fn read(
    pool: &SqlitePool,
    from: i64,
    to: i64,
    count: usize,
    bytes: usize,
) -> Result<Vec<Stored>, Fault> {
    let mut rows = sqlx::query(concat!(
        "SELECT ",
        stored_columns!(),
        " FROM messages WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3"
    ))
    .bind(from)
    .bind(to)
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch(pool);
    let (mut messages, mut taken) = (Vec::new(), 0);
    while taken < bytes
        && let Some(row) = rows.try_next().await?
    {
        let message = stored(&row)?;
        taken += message.bytes();
        messages.push(message);
    }
    Ok(messages)
}

/// The highest id in use between two; below the first when there is none.
pub(crate) async fn last(pool: &SqlitePool, from: i64, to: i64) -> Result<i64, Fault> {
    let id: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM messages WHERE id BETWEEN ?1 AND ?2")
        .bind(from)
        .bind(to)
        .fetch_one(pool)
        .await?;
    Ok(id.unwrap_or(from - 1))
}

/// Reads `stored_columns!`.
pub(super) fn stored(row: &SqliteRow) -> Result<Stored, Fault> {
    let headers: Option<String> = row.try_get(5)?;
    let headers = headers.map_or(Ok(Vec::new()), |json| serde_json::from_str(&json));
    let payload: Vec<u8> = row.try_get(6)?;
    Ok(Stored {
        id: row.try_get(0)?,
        turn: 0,
        redeliveries: row.try_get(1)?,
        message_id: row.try_get(2)?,
        content_type: row.try_get(3)?,
        kind: row.try_get(4)?,
        headers: headers.map_err(|error| Fault::Row(format!("a message's headers cannot be read: {error}")))?,
        payload: payload.into(),
    })
}

/// What lies in one stretch, or in one tier of the delayed ones, when the file is opened.
pub(crate) struct Found {
    /// The stretch.
    pub(crate) index: usize,
    /// The tier's name, for delayed messages.
    pub(crate) tier: Option<String>,
    /// How many.
    pub(crate) count: u64,
    /// The lowest and the highest id.
    pub(crate) ids: (i64, i64),
}

/// Counts what is there.
pub(crate) async fn survey(tx: &mut SqliteConnection) -> Result<Vec<Found>, Fault> {
    let rows: Vec<(i64, Option<String>, i64, i64)> =
        sqlx::query_as("SELECT min(id), tier, max(id), count(*) FROM messages GROUP BY id >> 48, tier")
            .fetch_all(tx)
            .await?;
    let found = |(low, tier, high, count): (i64, Option<String>, i64, i64)| {
        let index = place::index_of_id(low).ok_or_else(|| Fault::Row(format!("message {low} lies in no queue")))?;
        Ok(Found { index, tier, count: u64::try_from(count).unwrap_or(0), ids: (low, high) })
    };
    rows.into_iter().map(found).collect()
}
