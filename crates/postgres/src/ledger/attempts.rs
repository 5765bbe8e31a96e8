//! Attempts in.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::delivery::Attempt;
use whimbrel_core::id::{DeliveryId, ExecutionId};

use crate::fault::Fault;
use crate::rows::{bounds, int, stored_status, unsigned};

/// What an attempt is recorded under.
pub(super) type Key = (DeliveryId, u32);

pub(super) fn key(attempt: &Attempt) -> Key {
    (attempt.delivery, attempt.number)
}

macro_rules! insert_attempts {
    ($rest:literal) => {
        concat!(
            "INSERT INTO attempts (delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error,
                                   response_body)
             SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::timestamptz[], $6::int[],
                                  $7::smallint[], $8::text[], $9::bytea[])",
            $rest
        )
    };
}

const INSERT_NEW: &str = insert_attempts!("");
const INSERT_MISSING: &str =
    insert_attempts!(" ON CONFLICT (delivery_id, number) DO NOTHING RETURNING delivery_id, number");

/// Fails when one is there.
pub(super) async fn insert_new(connection: &mut PgConnection, rows: &[Attempt]) -> Result<(), Fault> {
    if !rows.is_empty() {
        bound(INSERT_NEW, rows).execute(connection).await?;
    }
    Ok(())
}

/// Inserts those that are not there, and gives their keys.
pub(crate) async fn insert_missing(connection: &mut PgConnection, rows: &[Attempt]) -> Result<HashSet<Key>, Fault> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let inserted = bound(INSERT_MISSING, rows).fetch_all(connection).await?;
    inserted.iter().map(|row| Ok((DeliveryId::from_uuid(row.try_get(0)?), unsigned(row.try_get(1)?)))).collect()
}

fn bound<'q>(sql: &'static str, rows: &'q [Attempt]) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql)
        .bind(rows.iter().map(|row| row.delivery.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| int(row.number)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| int(row.round)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.execution.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.started_at.into()).collect::<Vec<OffsetDateTime>>())
        .bind(rows.iter().map(|row| int(row.duration_ms)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| stored_status(row.status_code)).collect::<Vec<Option<i16>>>())
        .bind(rows.iter().map(|row| row.error.as_deref()).collect::<Vec<Option<&str>>>())
        .bind(rows.iter().map(|row| row.response_body.as_ref()).collect::<Vec<&[u8]>>())
}

/// The POSTs recorded under these attempts' keys.
pub(super) async fn executions(
    connection: &mut PgConnection,
    rows: &[&Attempt],
) -> Result<HashMap<Key, ExecutionId>, Fault> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.delivery.uuid()).collect();
    let (low, high) = bounds(&ids);
    let stored = sqlx::query(
        "SELECT a.delivery_id, a.number, a.execution_id FROM attempts a
         JOIN unnest($1::uuid[], $2::int[]) AS k (delivery_id, number) USING (delivery_id, number)
         WHERE a.delivery_id = ANY($1) AND a.delivery_id BETWEEN $3 AND $4",
    )
    .bind(ids)
    .bind(rows.iter().map(|row| int(row.number)).collect::<Vec<_>>())
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    stored
        .iter()
        .map(|row| {
            let key = (DeliveryId::from_uuid(row.try_get(0)?), unsigned(row.try_get(1)?));
            Ok((key, ExecutionId::from_uuid(row.try_get(2)?)))
        })
        .collect()
}

/// Counts POSTs whose number another POST had taken.
pub(super) async fn count_duplicates(connection: &mut PgConnection, keys: &[Key]) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = keys.iter().map(|(delivery, _)| delivery.uuid()).collect();
    let (low, high) = bounds(&ids);
    sqlx::query(
        "UPDATE attempts a SET duplicates = a.duplicates + k.times
         FROM (SELECT delivery_id, number, count(*)::int AS times
               FROM unnest($1::uuid[], $2::int[]) AS u (delivery_id, number) GROUP BY 1, 2) k
         WHERE a.delivery_id = k.delivery_id AND a.number = k.number AND a.delivery_id = ANY($1)
           AND a.delivery_id BETWEEN $3 AND $4",
    )
    .bind(ids)
    .bind(keys.iter().map(|(_, number)| int(*number)).collect::<Vec<_>>())
    .bind(low)
    .bind(high)
    .execute(connection)
    .await?;
    Ok(())
}
