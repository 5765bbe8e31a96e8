//! Counting a day's usage.

use sqlx::PgPool;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;

use crate::fault::Fault;
use crate::partitions::{day_of, end_of, start_of};

/// A tenant whose day was dropped keeps what was counted before.
pub(super) async fn count(pool: &PgPool, at: Timestamp) -> Result<(), Fault> {
    let day = day_of(at);
    let mut transaction = pool.begin().await?;
    // A day's rows may be many millions.
    sqlx::query("SET LOCAL statement_timeout = '10min'").execute(&mut *transaction).await?;
    sqlx::query(
        "INSERT INTO usage (tenant_id, day, events, deliveries, attempts)
         SELECT tenant_id, $3, sum(events), sum(deliveries), sum(attempts) FROM (
             SELECT tenant_id, count(*) AS events, 0 AS deliveries, 0 AS attempts FROM events
             WHERE id >= $1 AND id < $2 GROUP BY 1
             UNION ALL
             SELECT tenant_id, 0, count(*), sum(attempts) FROM deliveries WHERE id >= $1 AND id < $2 GROUP BY 1
         ) counted GROUP BY 1
         ON CONFLICT (tenant_id, day) DO UPDATE
         SET events = excluded.events, deliveries = excluded.deliveries, attempts = excluded.attempts",
    )
    .bind(EventId::first_at(start_of(day)).uuid())
    .bind(EventId::first_at(end_of(day)).uuid())
    .bind(day)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}
