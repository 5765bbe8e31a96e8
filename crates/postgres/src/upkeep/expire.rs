//! Retention's first half: what is not at its end when its day goes becomes failed(expired) (rule 28).

use sqlx::PgConnection;
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::id::DeliveryId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::partitions::{end_of, start_of};

macro_rules! expire {
    ($unfinished:literal) => {
        // Chosen once, before: a subquery may be run again for the same statement, and then chooses others.
        concat!(
            "WITH chosen AS (
                 SELECT id FROM deliveries WHERE id >= $1 AND id < $2 AND ",
            $unfinished,
            " LIMIT $4 FOR UPDATE SKIP LOCKED
             )
             UPDATE deliveries d SET state = 'failed', reason = 'expired', state_at = $3, sweep_at = NULL
             FROM chosen WHERE d.id = chosen.id AND d.id >= $1 AND d.id < $2"
        )
    };
}

/// Each has a partial index of its own; together they are all that is not at its end.
const UNFINISHED: [&str; 4] = [
    expire!("sweep_at IS NOT NULL"),
    expire!("state = 'waiting'"),
    expire!("state = 'held'"),
    expire!("sweep_at IS NULL AND state IN ('pending', 'retrying')"),
];

/// Ids from the first to before the second.
type Bounds = (DeliveryId, DeliveryId);

impl PostgresStore {
    /// Day by day from the oldest, so that each statement touches one partition.
    pub(super) async fn expire_some(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, Fault> {
        let days = self.days().await?.into_iter().filter(|day| start_of(*day) < before);
        let mut transaction = self.duties.begin().await?;
        let mut expired = 0;
        for day in days {
            let bounds = (DeliveryId::first_at(start_of(day)), DeliveryId::first_at(before.min(end_of(day))));
            for statement in UNFINISHED {
                let room = u64::from(limit).saturating_sub(expired);
                expired += expire(&mut transaction, statement, bounds, now, room).await?;
            }
        }
        transaction.commit().await?;
        Ok(expired)
    }
}

async fn expire(
    connection: &mut PgConnection,
    statement: &'static str,
    (low, high): Bounds,
    now: Timestamp,
    limit: u64,
) -> Result<u64, Fault> {
    if limit == 0 {
        return Ok(0);
    }
    let expired = sqlx::query(statement)
        .bind(low.uuid())
        .bind(high.uuid())
        .bind(OffsetDateTime::from(now))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(expired.rows_affected())
}
