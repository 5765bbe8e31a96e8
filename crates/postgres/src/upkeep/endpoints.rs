//! Counting endpoints by their status.

use sqlx::PgPool;
use whimbrel_core::port::EndpointCounts;

use crate::fault::Fault;
use crate::rows::count as number;

/// All in one pass over the table, which is small beside the log's.
pub(super) async fn count(pool: &PgPool) -> Result<EndpointCounts, Fault> {
    let counts = sqlx::query(
        "SELECT count(*) FILTER (WHERE status = 'active'), count(*) FILTER (WHERE status = 'suspended'),
                count(*) FILTER (WHERE status = 'disabled')
         FROM endpoints",
    )
    .fetch_one(pool)
    .await?;
    Ok(EndpointCounts { active: number(&counts, 0)?, suspended: number(&counts, 1)?, disabled: number(&counts, 2)? })
}
