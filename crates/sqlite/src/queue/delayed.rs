//! The delayed ones in the table `messages`, statement by statement.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::port::Source;

use super::lent::Mark;
use super::place;
use super::stored::Stored;
use super::table::{stored, stored_columns};
use crate::batch::Batch;
use crate::fault::Fault;

/// A delayed message whose time has come.
pub(crate) struct Due {
    pub(super) mark: Mark,
    /// The tier's name.
    pub(crate) tier: String,
    /// The lane's index.
    pub(crate) index: usize,
    /// Where it goes if it is moved; 0 until the writer says so.
    pub(crate) new_id: i64,
}

/// When the first one behind `passed` is due.
pub(super) async fn next_due(pool: &SqlitePool, passed: Mark) -> Result<Option<Timestamp>, Fault> {
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT due_at FROM messages WHERE due_at >= ?1 AND (due_at > ?1 OR id > ?2) ORDER BY due_at, id LIMIT 1",
    )
    .bind(passed.due_at)
    .bind(passed.id)
    .fetch_optional(pool)
    .await?;
    Ok(at.map(Timestamp::from_micros))
}

/// Those behind `passed` that are due, the earliest first, up to `max`.
pub(super) async fn due(pool: &SqlitePool, passed: Mark, now: Timestamp, max: usize) -> Result<Vec<Due>, Fault> {
    let rows = sqlx::query(
        "SELECT due_at, id, tier, lane FROM messages
         WHERE due_at >= ?1 AND (due_at > ?1 OR id > ?2) AND due_at <= ?3 ORDER BY due_at, id LIMIT ?4",
    )
    .bind(passed.due_at)
    .bind(passed.id)
    .bind(now.as_micros())
    .bind(i64::try_from(max).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let (id, word): (i64, &str) = (row.try_get(1)?, row.try_get(3)?);
        let lane =
            place::lane(word).ok_or_else(|| Fault::Row(format!("message {id} waits for an unknown lane `{word}`")))?;
        let index = place::index(Source::Jobs(lane)).expect("jobs are kept");
        Ok(Due { mark: Mark { due_at: row.try_get(0)?, id }, tier: row.try_get(2)?, index, new_id: 0 })
    };
    rows.iter().map(read).collect()
}

/// These messages whole, in no order.
pub(super) async fn read(pool: &SqlitePool, due: &[Due]) -> Result<Vec<Stored>, Fault> {
    static SELECT: Batch = Batch::new(concat!("SELECT ", stored_columns!(), " FROM messages WHERE id IN ("), "?", ")");
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = sqlx::query(SELECT.sql(due.len()));
    for due in due {
        query = query.bind(due.mark.id);
    }
    query.fetch_all(pool).await?.iter().map(stored).collect()
}

/// Writes messages anew at the ends of their lanes' stretches; gives them in the order of their new ids.
pub(crate) async fn relocate(tx: &mut SqliteConnection, due: &[Due]) -> Result<Vec<Stored>, Fault> {
    static MOVE: Batch = Batch::new(
        "UPDATE messages SET id = v.column2, due_at = NULL, tier = NULL, lane = NULL FROM (VALUES ",
        "(?,?)",
        concat!(") AS v WHERE messages.id = v.column1 RETURNING ", stored_columns!()),
    );
    let mut query = sqlx::query(MOVE.sql(due.len()));
    for Due { mark, new_id, .. } in due {
        query = query.bind(mark.id).bind(new_id);
    }
    let rows = query.fetch_all(tx).await?;
    let mut messages = rows.iter().map(stored).collect::<Result<Vec<_>, Fault>>()?;
    messages.sort_unstable_by_key(|message| message.id);
    Ok(messages)
}
