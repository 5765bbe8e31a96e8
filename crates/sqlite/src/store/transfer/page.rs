//! The log, page by page.

use std::collections::HashMap;

use sqlx::{SqliteConnection, SqlitePool};
use uuid::Uuid;
use whimbrel_core::delivery::Attempt;
use whimbrel_core::event::Event;
use whimbrel_core::id::{DeliveryId, EventId};
use whimbrel_core::port::{LoggedDelivery, LoggedEvent, Page};

use super::super::{log, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Transfer::log_page`]. One transaction, so that a page is of one moment.
pub(in crate::store) async fn log_page(reads: &SqlitePool, page: Page<EventId>) -> Result<Vec<LoggedEvent>, Fault> {
    let mut tx = reads.begin().await?;
    let found = sqlx::query(
        "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
             only_endpoint
         FROM events INDEXED BY events_by_id WHERE id > ?1 ORDER BY id LIMIT ?2",
    )
    .bind(page.after.map_or(Uuid::nil(), EventId::uuid))
    .bind(page.limit)
    .fetch_all(&mut *tx)
    .await?;
    let events = rows::all(&found, log::read_event)?;
    let mut deliveries = deliveries(&mut tx, &events).await?;
    let logged = |event: Event| {
        let deliveries = deliveries.remove(&event.id).unwrap_or_default();
        LoggedEvent { event, deliveries }
    };
    Ok(events.into_iter().map(logged).collect())
}

/// The events' deliveries, by id, with their attempts.
async fn deliveries(
    tx: &mut SqliteConnection,
    events: &[Event],
) -> Result<HashMap<EventId, Vec<LoggedDelivery>>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
             d.tenant_id, d.event_type, d.attempts, d.status_code, d.error
         FROM (VALUES ",
        "(?,?,?)",
        ") AS v CROSS JOIN deliveries d ON d.id BETWEEN v.column1 AND v.column2 AND d.event_id = v.column3
         ORDER BY d.id",
    );
    let mut deliveries: HashMap<EventId, Vec<LoggedDelivery>> = HashMap::with_capacity(events.len());
    for chunk in events.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for event in chunk {
            let (from, to) = event.id.delivery_range();
            query = query.bind(from).bind(to).bind(event.id.uuid());
        }
        let found = rows::all(&query.fetch_all(&mut *tx).await?, rows::delivery_row)?;
        let ids: Vec<DeliveryId> = found.iter().map(|row| row.delivery.id).collect();
        let mut attempts = attempts(tx, &ids).await?;
        for row in found {
            let attempts = attempts.remove(&row.delivery.id).unwrap_or_default();
            deliveries.entry(row.delivery.event).or_default().push(LoggedDelivery { row, attempts });
        }
    }
    Ok(deliveries)
}

async fn attempts(tx: &mut SqliteConnection, ids: &[DeliveryId]) -> Result<HashMap<DeliveryId, Vec<Attempt>>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body
         FROM attempts WHERE delivery_id IN (",
        "?",
        ") ORDER BY delivery_id, number",
    );
    let mut attempts: HashMap<DeliveryId, Vec<Attempt>> = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        for attempt in rows::all(&query.fetch_all(&mut *tx).await?, log::read_attempt)? {
            attempts.entry(attempt.delivery).or_default().push(attempt);
        }
    }
    Ok(attempts)
}
