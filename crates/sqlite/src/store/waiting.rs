//! What people asked for again, on its way to the tracker.

use sqlx::{SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::port::StoreError;

use super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

/// See [`whimbrel_core::port::Ledger::take_waiting`]. Mostly nothing waits: then nothing is written.
pub(super) async fn take_waiting(
    reads: &SqlitePool,
    writer: &Writer,
    sweep_at: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, StoreError> {
    let waits: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM deliveries INDEXED BY deliveries_manual WHERE state = 'waiting' AND reason = 'manual' LIMIT 1",
    )
    .fetch_optional(reads)
    .await
    .map_err(Fault::from)?;
    if waits.is_none() || limit == 0 {
        return Ok(Vec::new());
    }
    writer.call(move |tx| Box::pin(take(tx, sweep_at, limit))).await
}

async fn take(tx: &mut SqliteConnection, sweep_at: Timestamp, limit: u32) -> Result<Vec<Delivery>, Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'pending', reason = NULL, sweep_at = v.column2, sweeps = 0 FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    let found = sqlx::query(concat!(
        "SELECT ",
        rows::delivery_columns!(),
        " FROM deliveries INDEXED BY deliveries_manual WHERE state = 'waiting' AND reason = 'manual'
         ORDER BY id LIMIT ?1"
    ))
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    let mut waiting = rows::all(&found, rows::delivery)?;
    for chunk in waiting.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for delivery in chunk {
            query = query.bind(delivery.id.uuid()).bind(sweep_at.as_micros());
        }
        query.execute(&mut *tx).await?;
    }
    for delivery in &mut waiting {
        delivery.state = DeliveryState::Pending;
    }
    Ok(waiting)
}
