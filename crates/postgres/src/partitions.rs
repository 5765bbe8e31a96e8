//! Partitions are made ahead; one that is missing is made when an insert finds none (rule 27).

use std::time::Duration;

use time::Date;
use time::OffsetDateTime;
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
        self.ensure_days(now.before(DAY), now + AHEAD).await
    }

    /// Makes the partitions of the days from one moment to another.
    pub(crate) async fn ensure_days(&self, first: Timestamp, last: Timestamp) -> Result<(), StoreError> {
        sqlx::query("SELECT whimbrel_ensure_partitions($1, $2)")
            .bind(day(first))
            .bind(day(last))
            .execute(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(())
    }
}

fn day(at: Timestamp) -> Date {
    OffsetDateTime::from(at).date()
}
