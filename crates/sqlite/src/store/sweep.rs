//! Deliveries whose jobs seem lost (rule 18).

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::port::{Lane, StoreError};

use super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

/// Doublings after which the time between sweeps grows no more.
const DOUBLINGS_MAX: u32 = 16;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweep {
    pub(super) lane: Lane,
    pub(super) until: Timestamp,
    pub(super) now: Timestamp,
    pub(super) base: Duration,
    pub(super) limit: u32,
}

/// The condition that a delivery is overdue at ?1 and its job would be in the lane ?2.
macro_rules! overdue {
    () => {
        "sweep_at <= ?1 AND ?2 = CASE
             WHEN attempt = 1 AND round = 1 THEN 'live'
             WHEN attempt = first_attempt AND replay_id IS NOT NULL THEN 'bulk'
             ELSE 'slow' END"
    };
}

/// See [`whimbrel_core::port::Ledger::overdue`]. Mostly nothing is: then nothing is written.
pub(super) async fn overdue(reads: &SqlitePool, writer: &Writer, sweep: Sweep) -> Result<Vec<Delivery>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(concat!("SELECT 1 FROM deliveries WHERE ", overdue!(), " LIMIT 1"))
        .bind(sweep.until.as_micros())
        .bind(sweep.lane.as_str())
        .fetch_optional(reads)
        .await
        .map_err(Fault::from)?;
    if found.is_none() || sweep.limit == 0 {
        return Ok(Vec::new());
    }
    writer.call(move |tx| Box::pin(claim(tx, sweep))).await
}

/// See [`whimbrel_core::port::Ledger::last_overdue`].
pub(super) async fn last_overdue(
    reads: &SqlitePool,
    lane: Lane,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Delivery>, Fault> {
    let found = sqlx::query(concat!(
        "SELECT ",
        rows::delivery_columns!(),
        " FROM deliveries WHERE ",
        overdue!(),
        " ORDER BY sweep_at DESC, id DESC LIMIT ?3"
    ))
    .bind(until.as_micros())
    .bind(lane.as_str())
    .bind(limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, rows::delivery)
}

async fn claim(tx: &mut SqliteConnection, sweep: Sweep) -> Result<Vec<Delivery>, Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET sweep_at = v.column2, sweeps = sweeps + 1 FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    let found = sqlx::query(concat!(
        "SELECT ",
        rows::delivery_columns!(),
        ", sweeps FROM deliveries WHERE ",
        overdue!(),
        " ORDER BY sweep_at, id LIMIT ?3"
    ))
    .bind(sweep.until.as_micros())
    .bind(sweep.lane.as_str())
    .bind(sweep.limit)
    .fetch_all(&mut *tx)
    .await?;
    let claimed = rows::all(&found, |row| {
        let sweeps: u32 = row.try_get(9)?;
        Ok((rows::delivery(row)?, sweep.now + sweep.base.saturating_mul(1 << sweeps.min(DOUBLINGS_MAX))))
    })?;
    for chunk in claimed.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for (delivery, next) in chunk {
            query = query.bind(delivery.id.uuid()).bind(next.as_micros());
        }
        query.execute(&mut *tx).await?;
    }
    Ok(claimed.into_iter().map(|(delivery, _)| delivery).collect())
}
