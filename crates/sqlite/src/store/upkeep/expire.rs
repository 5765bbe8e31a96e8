//! The end of deliveries that are older than the log (rule 28).

use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::DeliveryId;
use whimbrel_core::port::StoreError;

use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

/// See [`whimbrel_core::port::Upkeep::expire`]. They are looked for beside the writer, which then makes sure of each.
pub(in crate::store) async fn expire(
    reads: &SqlitePool,
    writer: &Writer,
    before: Timestamp,
    now: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let found: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM deliveries WHERE id < ?1 AND state IN ('pending', 'retrying', 'waiting', 'held')
         ORDER BY id LIMIT ?2",
    )
    .bind(DeliveryId::first_at(before).uuid())
    .bind(limit)
    .fetch_all(reads)
    .await
    .map_err(Fault::from)?;
    if found.is_empty() {
        return Ok(0);
    }
    writer.call(move |tx| Box::pin(async move { fail(tx, &found, now).await })).await
}

async fn fail(tx: &mut SqliteConnection, ids: &[Uuid], now: Timestamp) -> Result<u64, Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'failed', reason = 'expired', state_at = v.column2, sweep_at = NULL, sweeps = 0
         FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE deliveries.id = v.column1
             AND deliveries.state IN ('pending', 'retrying', 'waiting', 'held')",
    );
    let mut failed = 0;
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id).bind(now.as_micros());
        }
        failed += query.execute(&mut *tx).await?.rows_affected();
    }
    Ok(failed)
}
