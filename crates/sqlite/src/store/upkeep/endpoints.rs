//! Counting endpoints by their status.

use sqlx::{Row as _, SqlitePool};
use whimbrel_core::port::EndpointCounts;

use crate::fault::Fault;

/// See [`whimbrel_core::port::Upkeep::count_endpoints`].
pub(in crate::store) async fn count_endpoints(reads: &SqlitePool) -> Result<EndpointCounts, Fault> {
    let counts = sqlx::query(
        "SELECT count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'suspended'),
             count(*) FILTER (WHERE status = 'disabled')
         FROM endpoints",
    )
    .fetch_one(reads)
    .await?;
    Ok(EndpointCounts { active: counts.try_get(0)?, suspended: counts.try_get(1)?, disabled: counts.try_get(2)? })
}
