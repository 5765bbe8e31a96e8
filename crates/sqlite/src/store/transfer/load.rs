//! Storing another engine's log.

use std::collections::HashSet;

use sqlx::SqliteConnection;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Attempt, DeliveryRow, DeliveryState};
use whimbrel_core::event::Event;
use whimbrel_core::port::LoggedEvent;

use super::super::settle::record;
use super::super::{accept, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Transfer::load_log`]. An event comes with all that the log knows of it, in one
/// transaction: where the event is, the rest is.
pub(in crate::store) async fn load_log(
    tx: &mut SqliteConnection,
    logged: &[LoggedEvent],
    sweep_at: Timestamp,
) -> Result<u64, Fault> {
    let mut seen = HashSet::with_capacity(logged.len());
    let logged: Vec<&LoggedEvent> = logged.iter().filter(|logged| seen.insert(logged.event.id)).collect();
    let events: Vec<&Event> = logged.iter().map(|logged| &logged.event).collect();
    let stored = accept::insert_events(tx, &[], &events).await?.unwrap_or_default();
    let new: Vec<&LoggedEvent> = logged.into_iter().filter(|logged| !stored.contains(&logged.event.id)).collect();
    let deliveries: Vec<&DeliveryRow> =
        new.iter().flat_map(|logged| &logged.deliveries).map(|delivery| &delivery.row).collect();
    insert_deliveries(tx, &deliveries, sweep_at).await?;
    let attempts: Vec<&Attempt> =
        new.iter().flat_map(|logged| &logged.deliveries).flat_map(|delivery| &delivery.attempts).collect();
    record::insert(tx, &attempts).await?;
    Ok(new.len() as u64)
}

async fn insert_deliveries(
    tx: &mut SqliteConnection,
    deliveries: &[&DeliveryRow],
    sweep_at: Timestamp,
) -> Result<(), Fault> {
    static INSERT: Batch = Batch::new(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
             first_attempt, attempt, attempts, status_code, error, sweep_at) SELECT * FROM (VALUES ",
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL",
    );
    for chunk in deliveries.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.sql(chunk.len()));
        for DeliveryRow { delivery, tenant, event_type, attempts, status_code, error } in chunk {
            let (reason, state_at) = rows::state_columns(delivery.state);
            // The job stayed behind; nothing looks for that of a retry before it is due.
            let swept_at = match delivery.state {
                DeliveryState::Pending => Some(sweep_at),
                DeliveryState::Retrying { at } => Some(sweep_at.max(at)),
                _ => None,
            };
            query = query
                .bind(delivery.id.uuid())
                .bind(delivery.event.uuid())
                .bind(delivery.endpoint.uuid())
                .bind(tenant.as_str())
                .bind(event_type.as_str())
                .bind(delivery.state.as_str())
                .bind(reason)
                .bind(state_at)
                .bind(delivery.round)
                .bind(delivery.first_attempt)
                .bind(delivery.attempt)
                .bind(attempts)
                .bind(*status_code)
                .bind(error.as_deref())
                .bind(swept_at.map(Timestamp::as_micros));
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}
