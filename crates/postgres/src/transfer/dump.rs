//! The log out, a page at a time.

use std::collections::HashMap;

use sqlx::{PgPool, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Attempt, DeliveryRow};
use whimbrel_core::id::{DeliveryId, EventId};
use whimbrel_core::port::{LoggedDelivery, LoggedEvent, Page, StoredKey};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::log::read::{attempt, event};
use crate::rows::{all, at, bounds, delivery_row, hash, tenant_id};

pub(super) async fn log_page(pool: &PgPool, page: Page<EventId>) -> Result<Vec<LoggedEvent>, Fault> {
    let rows = sqlx::query(
        "SELECT id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
                only_endpoint
         FROM events WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(page.after.map_or(Uuid::nil(), EventId::uuid))
    .bind(i64::from(page.limit))
    .fetch_all(pool)
    .await?;
    let events = all(&rows, event)?;
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let mut deliveries: HashMap<EventId, Vec<LoggedDelivery>> = HashMap::with_capacity(ids.len());
    for logged in logged_deliveries(pool, &ids).await? {
        deliveries.entry(logged.row.delivery.event).or_default().push(logged);
    }
    let with_deliveries = |event: whimbrel_core::event::Event| {
        let deliveries = deliveries.remove(&event.id).unwrap_or_default();
        LoggedEvent { event, deliveries }
    };
    Ok(events.into_iter().map(with_deliveries).collect())
}

/// By id.
async fn logged_deliveries(pool: &PgPool, events: &[EventId]) -> Result<Vec<LoggedDelivery>, Fault> {
    let rows = deliveries(pool, events).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.delivery.id.uuid()).collect();
    let mut attempts: HashMap<DeliveryId, Vec<Attempt>> = HashMap::with_capacity(ids.len());
    for attempt in attempts_of(pool, ids).await? {
        attempts.entry(attempt.delivery).or_default().push(attempt);
    }
    let with_attempts = |row: DeliveryRow| {
        let attempts = attempts.remove(&row.delivery.id).unwrap_or_default();
        LoggedDelivery { row, attempts }
    };
    Ok(rows.into_iter().map(with_attempts).collect())
}

async fn deliveries(pool: &PgPool, events: &[EventId]) -> Result<Vec<DeliveryRow>, Fault> {
    let lows: Vec<Uuid> = events.iter().map(|event| event.delivery_range().0).collect();
    let highs: Vec<Uuid> = events.iter().map(|event| event.delivery_range().1).collect();
    let (low, high) = (bounds(&lows).0, bounds(&highs).1);
    let rows = sqlx::query(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
                d.tenant_id, d.event_type, d.attempts, d.status_code, d.error
         FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS e (id, low, high)
         JOIN deliveries d ON d.id BETWEEN e.low AND e.high AND d.event_id = e.id
         WHERE d.id BETWEEN $4 AND $5 ORDER BY d.id",
    )
    .bind(events.iter().map(|event| event.uuid()).collect::<Vec<_>>())
    .bind(lows)
    .bind(highs)
    .bind(low)
    .bind(high)
    .fetch_all(pool)
    .await?;
    all(&rows, delivery_row)
}

/// In order, delivery by delivery.
async fn attempts_of(pool: &PgPool, deliveries: Vec<Uuid>) -> Result<Vec<Attempt>, Fault> {
    let (low, high) = bounds(&deliveries);
    let rows = sqlx::query(
        "SELECT delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error, response_body
         FROM attempts WHERE delivery_id = ANY($1) AND delivery_id BETWEEN $2 AND $3 ORDER BY delivery_id, number",
    )
    .bind(deliveries)
    .bind(low)
    .bind(high)
    .fetch_all(pool)
    .await?;
    all(&rows, attempt)
}

/// Tenant by tenant: each page reads the index of the keys from where the last one ended.
pub(super) async fn keys_page(
    pool: &PgPool,
    page: Page<(TenantId, [u8; 32])>,
    now: Timestamp,
) -> Result<Vec<StoredKey>, Fault> {
    let after = page.after.as_ref();
    let rows = sqlx::query(
        "SELECT k.tenant_id, k.key_hash, k.content_hash, k.event_id, k.expires_at
         FROM (SELECT id COLLATE \"C\" AS id FROM tenants
               WHERE $1::text IS NULL OR id COLLATE \"C\" >= $1 ORDER BY id COLLATE \"C\") t
         CROSS JOIN LATERAL (
             SELECT k.* FROM idempotency_keys k
             WHERE k.tenant_id = t.id AND ($1 IS NULL OR t.id <> $1 OR k.key_hash > $2) AND k.expires_at > $3
             ORDER BY k.key_hash LIMIT $4) k
         ORDER BY t.id, k.key_hash LIMIT $4",
    )
    .bind(after.map(|(tenant, _)| tenant.as_str()))
    .bind(after.map(|(_, hash)| hash.as_slice()))
    .bind(OffsetDateTime::from(now))
    .bind(i64::from(page.limit))
    .fetch_all(pool)
    .await?;
    all(&rows, |row| {
        Ok(StoredKey {
            tenant: tenant_id(row.try_get(0)?)?,
            key_hash: hash(row, 1)?,
            content_hash: hash(row, 2)?,
            event: EventId::from_uuid(row.try_get(3)?),
            expires_at: at(row, 4)?,
        })
    })
}
