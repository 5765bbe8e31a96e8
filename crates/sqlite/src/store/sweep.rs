//! Deliveries that the tracker publishes on its own account (rules 17 and 18).

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::port::StoreError;

use super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;
use crate::writer::Writer;

/// Doublings after which the time between sweeps grows no more.
const DOUBLINGS_MAX: u32 = 16;

/// See [`whimbrel_core::port::Ledger::overdue`].
pub(super) async fn overdue(
    tx: &mut SqliteConnection,
    now: Timestamp,
    base: Duration,
    limit: u32,
) -> Result<Vec<Delivery>, Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET sweep_at = v.column2, sweeps = sweeps + 1 FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    let found = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt, sweeps
         FROM deliveries WHERE sweep_at <= ?1 ORDER BY sweep_at, id LIMIT ?2",
    )
    .bind(now.as_micros())
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    let claimed = rows::all(&found, |row| {
        let sweeps: u32 = row.try_get(9)?;
        Ok((rows::delivery(row)?, now + base.saturating_mul(1 << sweeps.min(DOUBLINGS_MAX))))
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

/// See [`whimbrel_core::port::Ledger::take_waiting`]. Mostly nothing waits: then nothing is written.
pub(super) async fn take_waiting(
    reads: &sqlx::SqlitePool,
    writer: &Writer,
    sweep_at: Timestamp,
    limit: u32,
) -> Result<Vec<(Delivery, WaitReason)>, StoreError> {
    let waits: Option<i64> = sqlx::query_scalar("SELECT 1 FROM deliveries WHERE state = 'waiting' LIMIT 1")
        .fetch_optional(reads)
        .await
        .map_err(Fault::from)?;
    if waits.is_none() || limit == 0 {
        return Ok(Vec::new());
    }
    writer.call(move |tx| Box::pin(take(tx, sweep_at, limit))).await
}

async fn take(
    tx: &mut SqliteConnection,
    sweep_at: Timestamp,
    limit: u32,
) -> Result<Vec<(Delivery, WaitReason)>, Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'pending', reason = NULL, sweep_at = v.column2, sweeps = 0 FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    let found = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt
         FROM deliveries WHERE state = 'waiting' ORDER BY id LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    let waiting = rows::all(&found, rows::delivery)?;
    for chunk in waiting.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for delivery in chunk {
            query = query.bind(delivery.id.uuid()).bind(sweep_at.as_micros());
        }
        query.execute(&mut *tx).await?;
    }
    let taken = |delivery: Delivery| match delivery.state {
        DeliveryState::Waiting(reason) => Some((Delivery { state: DeliveryState::Pending, ..delivery }, reason)),
        _ => None,
    };
    Ok(waiting.into_iter().filter_map(taken).collect())
}
