//! Recording attempts, and saying how each stands to the log (rule 2).

use std::collections::HashMap;

use sqlx::{Row as _, SqliteConnection};
use uuid::Uuid;
use whimbrel_core::delivery::{Attempt, Delivery};
use whimbrel_core::id::DeliveryId;
use whimbrel_core::judge::Seen;

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
    let mut executions = recorded(tx, attempts.iter().flatten()).await?;
    let (mut seen, mut new, mut duplicates) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
    for attempt in &attempts {
        let Some(attempt) = attempt else {
            seen.push(Seen::New);
            continue;
        };
        let (place, execution) = (place(attempt), attempt.execution.uuid());
        seen.push(match executions.get(&place) {
            None => {
                executions.insert(place, execution);
                new.push(attempt);
                Seen::New
            }
            Some(recorded) if *recorded == execution => Seen::SameExecution,
            Some(_) => {
                duplicates.push(place);
                Seen::OtherExecution
            }
        });
    }
    insert(tx, &new).await?;
    count_duplicates(tx, &duplicates).await?;
    Ok(seen)
}

fn place(attempt: &Attempt) -> Place {
    (attempt.delivery.uuid(), attempt.number)
}

/// The executions that stand in the log under the attempts' numbers.
async fn recorded(
    tx: &mut SqliteConnection,
    attempts: impl Iterator<Item = &Attempt> + Send,
) -> Result<HashMap<Place, Uuid>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT a.delivery_id, a.number, a.execution_id FROM (VALUES ",
        "(?,?)",
        ") AS v CROSS JOIN attempts a ON a.delivery_id = v.column1 AND a.number = v.column2",
    );
    let places: Vec<Place> = attempts.map(place).collect();
    let mut executions = HashMap::with_capacity(places.len());
    for chunk in places.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for (delivery, number) in chunk {
            query = query.bind(delivery).bind(number);
        }
        for row in query.fetch_all(&mut *tx).await? {
            executions.insert((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?);
        }
    }
    Ok(executions)
}

/// Records attempts that are not there yet.
pub(in crate::store) async fn insert(tx: &mut SqliteConnection, new: &[&Attempt]) -> Result<(), Fault> {
    static INSERT: Batch = Batch::new(
        "INSERT INTO attempts (delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error,
             response_body) SELECT * FROM (VALUES ",
        "(?,?,?,?,?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL",
    );
    for chunk in new.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.sql(chunk.len()));
        for attempt in chunk {
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
        query.execute(&mut *tx).await?;
    }
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
