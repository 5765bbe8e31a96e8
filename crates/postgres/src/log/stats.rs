//! How an endpoint did over a while.

use sqlx::{PgPool, Row as _};
use whimbrel_core::Timestamp;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::EndpointStats;

use crate::fault::Fault;
use crate::rows::{all, count, unsigned};

pub(super) async fn stats(
    pool: &PgPool,
    endpoint: EndpointId,
    since: Timestamp,
    until: Timestamp,
) -> Result<EndpointStats, Fault> {
    let (low, high) = (DeliveryId::first_at(since).uuid(), DeliveryId::first_at(until).uuid());
    let states = sqlx::query(
        "SELECT state, count(*) FROM deliveries WHERE endpoint_id = $1 AND id >= $2 AND id < $3 GROUP BY 1 ORDER BY 1",
    )
    .bind(endpoint.uuid())
    .bind(low)
    .bind(high)
    .fetch_all(pool)
    .await?;
    let attempts = sqlx::query(
        "SELECT count(*), count(*) FILTER (WHERE NOT a.succeeded),
                percentile_disc(0.5) WITHIN GROUP (ORDER BY a.duration_ms) FILTER (WHERE a.succeeded),
                percentile_disc(0.95) WITHIN GROUP (ORDER BY a.duration_ms) FILTER (WHERE a.succeeded)
         FROM (SELECT a.duration_ms, a.error IS NULL AND coalesce(a.status_code BETWEEN 200 AND 299, false) AS succeeded
               FROM deliveries d JOIN attempts a ON a.delivery_id = d.id
               WHERE d.endpoint_id = $1 AND d.id >= $2 AND d.id < $3
                 AND a.delivery_id >= $2 AND a.delivery_id < $3) a",
    )
    .bind(endpoint.uuid())
    .bind(low)
    .bind(high)
    .fetch_one(pool)
    .await?;
    Ok(EndpointStats {
        deliveries: all(&states, |row| Ok((row.try_get(0)?, count(row, 1)?)))?,
        attempts: count(&attempts, 0)?,
        failed_attempts: count(&attempts, 1)?,
        p50_ms: attempts.try_get::<Option<i32>, _>(2)?.map(unsigned),
        p95_ms: attempts.try_get::<Option<i32>, _>(3)?.map(unsigned),
    })
}
