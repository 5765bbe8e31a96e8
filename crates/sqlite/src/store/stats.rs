//! How an endpoint did.

use sqlx::{Row as _, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::EndpointStats;

use super::rows;
use crate::fault::Fault;

/// See [`whimbrel_core::port::Log::stats`].
pub(super) async fn stats(
    reads: &SqlitePool,
    endpoint: EndpointId,
    since: Timestamp,
    until: Timestamp,
) -> Result<EndpointStats, Fault> {
    let (from, to) = (DeliveryId::first_at(since).uuid(), DeliveryId::first_at(until).uuid());
    let mut tx = reads.begin().await?;
    let states = sqlx::query(
        "SELECT state, count(*) FROM deliveries WHERE endpoint_id = ?1 AND id >= ?2 AND id < ?3
         GROUP BY state ORDER BY state",
    )
    .bind(endpoint.uuid())
    .bind(from)
    .bind(to)
    .fetch_all(&mut *tx)
    .await?;
    // A percentile is the duration at its rank: the smallest that is at or above so many of all.
    let attempts = sqlx::query(
        "WITH made AS MATERIALIZED (
             SELECT a.duration_ms, a.error IS NOT NULL AS failed
             FROM deliveries d CROSS JOIN attempts a ON a.delivery_id = d.id
             WHERE d.endpoint_id = ?1 AND d.id >= ?2 AND d.id < ?3
         ), ranked AS MATERIALIZED (
             SELECT duration_ms, row_number() OVER (ORDER BY duration_ms) AS rank, count(*) OVER () AS ranks
             FROM made WHERE NOT failed
         )
         SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM made WHERE failed),
             (SELECT duration_ms FROM ranked WHERE rank = (ranks * 50 + 99) / 100),
             (SELECT duration_ms FROM ranked WHERE rank = (ranks * 95 + 99) / 100)",
    )
    .bind(endpoint.uuid())
    .bind(from)
    .bind(to)
    .fetch_one(&mut *tx)
    .await?;
    Ok(EndpointStats {
        deliveries: rows::all(&states, |row| Ok((row.try_get(0)?, row.try_get(1)?)))?,
        attempts: attempts.try_get(0)?,
        failed_attempts: attempts.try_get(1)?,
        p50_ms: attempts.try_get(2)?,
        p95_ms: attempts.try_get(3)?,
    })
}
