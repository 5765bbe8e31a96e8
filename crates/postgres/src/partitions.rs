//! Partitions are made ahead; one that is missing is made when an insert finds none (rule 27).

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{PgPool, Row as _};
use time::{Date, OffsetDateTime, Time};
use whimbrel_core::Timestamp;
use whimbrel_core::port::StoreError;

use crate::fault::Fault;
use crate::open::PostgresStore;

const AHEAD: Duration = Duration::from_hours(14 * 24);
const DAY: Duration = Duration::from_hours(24);

impl PostgresStore {
    /// Makes the partitions from yesterday to 14 days ahead.
    pub async fn ensure_partitions(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        Ok(ensure(&self.duties, day_of(now.before(DAY)), day_of(now + AHEAD)).await?)
    }

    /// Makes the partitions of the days in which these moments lie.
    pub(crate) async fn ensure_days(&self, moments: impl Iterator<Item = Timestamp>) -> Result<(), Fault> {
        let days: BTreeSet<Date> = moments.map(day_of).collect();
        for day in days {
            ensure(&self.pool, day, day).await?;
        }
        Ok(())
    }

    /// The days that have a partition of `deliveries`, oldest first.
    pub(crate) async fn days(&self) -> Result<Vec<Date>, Fault> {
        let rows = sqlx::query(
            "SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'deliveries'::regclass AND NOT i.inhdetachpending ORDER BY 1",
        )
        .fetch_all(&self.duties)
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

async fn ensure(pool: &PgPool, first: Date, last: Date) -> Result<(), Fault> {
    sqlx::query("SELECT whimbrel_ensure_partitions($1, $2)").bind(first).bind(last).execute(pool).await?;
    Ok(())
}

/// The UTC day of a moment.
pub(crate) fn day_of(at: Timestamp) -> Date {
    OffsetDateTime::from(at).date()
}

/// The first moment of a UTC day.
pub(crate) fn start_of(day: Date) -> Timestamp {
    OffsetDateTime::new_utc(day, Time::MIDNIGHT).into()
}

/// The first moment of the day after.
pub(crate) fn end_of(day: Date) -> Timestamp {
    start_of(day) + DAY
}
