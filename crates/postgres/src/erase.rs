//! Erasing payloads: the rows stay, what was in them goes.

use sqlx::PgConnection;
use uuid::Uuid;
use whimbrel_core::id::EventId;

use crate::fault::Fault;
use crate::rows::bounds;

/// Empties these events' bodies and what receivers answered, and cancels their deliveries that are not at their end.
/// The events first: whoever begins a round meanwhile sees them empty, or is waited for and cancelled. Deliveries are
/// locked in id order, as the ledger does.
pub(crate) async fn erase(connection: &mut PgConnection, events: &[EventId]) -> Result<(), Fault> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.uuid()).collect();
    let (low, high) = bounds(&ids);
    sqlx::query(
        "UPDATE events SET body = '', data_start = 0, data_end = 0 WHERE id = ANY($1) AND id BETWEEN $2 AND $3",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .execute(&mut *connection)
    .await?;
    let deliveries = lock_deliveries(connection, events).await?;
    let (low, high) = bounds(&deliveries);
    sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND state IN ('pending', 'retrying', 'waiting', 'held')",
    )
    .bind(&deliveries)
    .bind(low)
    .bind(high)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE attempts SET response_body = ''
         WHERE delivery_id = ANY($1) AND delivery_id BETWEEN $2 AND $3 AND octet_length(response_body) > 0",
    )
    .bind(&deliveries)
    .bind(low)
    .bind(high)
    .execute(connection)
    .await?;
    Ok(())
}

async fn lock_deliveries(connection: &mut PgConnection, events: &[EventId]) -> Result<Vec<Uuid>, Fault> {
    let lows: Vec<Uuid> = events.iter().map(|event| event.delivery_range().0).collect();
    let highs: Vec<Uuid> = events.iter().map(|event| event.delivery_range().1).collect();
    let (low, high) = (bounds(&lows).0, bounds(&highs).1);
    let ids = sqlx::query_scalar(
        "SELECT d.id FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS e (id, low, high)
         JOIN deliveries d ON d.id BETWEEN e.low AND e.high AND d.event_id = e.id
         WHERE d.id BETWEEN $4 AND $5 ORDER BY d.id FOR UPDATE OF d",
    )
    .bind(events.iter().map(|event| event.uuid()).collect::<Vec<_>>())
    .bind(lows)
    .bind(highs)
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    Ok(ids)
}
