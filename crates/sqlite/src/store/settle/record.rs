//! Recording attempts, and saying how each stands to the log (rule 2).

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;
use whimbrel_core::delivery::{Attempt, Delivery};
use whimbrel_core::id::DeliveryId;
use whimbrel_core::judge::{Seen, compare};

use super::Settled;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// Which attempt of which delivery.
type Place = (Uuid, u32);

/// Records what is new; one answer per outcome, in order.
pub(super) async fn attempts(
    tx: &mut SqliteConnection,
    batch: &[Settled],
    known: &HashMap<DeliveryId, Delivery>,
) -> Result<Vec<Seen>, Fault> {
    let attempt = |settled: &Settled| known.get(&settled.delivery).and(settled.attempt.clone());
    let attempts: Vec<Option<Attempt>> = batch.iter().map(attempt).collect();
    let mut places = HashSet::with_capacity(attempts.len());
    let first: Vec<&Attempt> = attempts.iter().flatten().filter(|attempt| places.insert(place(attempt))).collect();
    let recorded = insert(tx, &first).await?;
    let posted = |attempt: &Option<Attempt>| attempt.as_ref().map(|attempt| (place(attempt), attempt.execution.uuid()));
    let (seen, duplicates) = compare(attempts.iter().map(posted), recorded);
    count_duplicates(tx, &duplicates).await?;
    Ok(seen)
}

fn place(attempt: &Attempt) -> Place {
    (attempt.delivery.uuid(), attempt.number)
}

/// Records those attempts that are not there yet, none of which may come twice, and gives the executions that stand in the
/// log for the others. These are rare, so they are looked for only when an insert has met one.
pub(in crate::store) async fn insert(
    tx: &mut SqliteConnection,
    attempts: &[&Attempt],
) -> Result<HashMap<Place, Uuid>, Fault> {
    let mut recorded = HashMap::new();
    for chunk in attempts.chunks(ROWS_MAX) {
        match insert_new(tx, chunk).await {
            Err(fault) if fault.is_conflict() => {
                let found = find(tx, chunk).await?;
                let new: Vec<&Attempt> =
                    chunk.iter().copied().filter(|attempt| !found.contains_key(&place(attempt))).collect();
                insert_new(tx, &new).await?;
                recorded.extend(found);
            }
            inserted => inserted?,
        }
    }
    Ok(recorded)
}

/// The executions that stand in the log under the attempts' numbers; at most [`ROWS_MAX`] attempts.
async fn find(tx: &mut SqliteConnection, attempts: &[&Attempt]) -> Result<HashMap<Place, Uuid>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT a.delivery_id, a.number, a.execution_id FROM (VALUES ",
        "(?,?)",
        ") AS v CROSS JOIN attempts a ON a.delivery_id = v.column1 AND a.number = v.column2",
    );
    let mut query = sqlx::query(SELECT.sql(attempts.len()));
    for attempt in attempts {
        query = query.bind(attempt.delivery.uuid()).bind(attempt.number);
    }
    let rows = query.fetch_all(tx).await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

/// Records attempts that are not there; at most [`ROWS_MAX`].
async fn insert_new(tx: &mut SqliteConnection, attempts: &[&Attempt]) -> Result<(), Fault> {
    static INSERT: Batch = Batch::new(
        "INSERT INTO attempts (delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error,
             response_body) SELECT * FROM (VALUES ",
        "(?,?,?,?,?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL",
    );
    if attempts.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query(INSERT.sql(attempts.len()));
    for attempt in attempts {
        query = query
            .bind(attempt.delivery.uuid())
            .bind(attempt.number)
            .bind(attempt.round)
            .bind(attempt.execution.uuid())
            .bind(attempt.started_at.as_micros())
            .bind(attempt.duration_ms)
            .bind(attempt.status_code)
            .bind(attempt.error.as_deref())
            .bind(&attempt.response_body[..]);
    }
    query.execute(tx).await?;
    Ok(())
}

/// One by one: duplicates are rare.
async fn count_duplicates(tx: &mut SqliteConnection, places: &[Place]) -> Result<(), Fault> {
    for (delivery, number) in places {
        sqlx::query("UPDATE attempts SET duplicates = duplicates + 1 WHERE delivery_id = ?1 AND number = ?2")
            .bind(delivery)
            .bind(number)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
