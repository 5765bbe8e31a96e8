//! Deliveries that no running replay will take: a replay's end and a delivery's stop may pass each other.

use sqlx::{Row as _, SqlitePool};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Forgotten;
use whimbrel_core::replay::ReplayKind;

use super::super::rows;
use crate::fault::Fault;

/// The endpoints of an index's deliveries. From one it jumps to the next, however many deliveries lie between.
macro_rules! stopped {
    ($index:literal, $condition:literal) => {
        concat!(
            "WITH RECURSIVE stopped (endpoint) AS (
                 SELECT (SELECT min(endpoint_id) FROM deliveries INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            ") UNION ALL
                 SELECT (SELECT min(endpoint_id) FROM deliveries INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            " AND endpoint_id > stopped.endpoint) FROM stopped WHERE stopped.endpoint IS NOT NULL
             )
             SELECT e.tenant_id, e.id FROM stopped CROSS JOIN endpoints e ON e.id = stopped.endpoint WHERE "
        )
    };
}

const HELD: &str = concat!(
    stopped!("deliveries_held", "state = 'held'"),
    "e.status = 'active' AND NOT EXISTS (
         SELECT 1 FROM replays r WHERE r.endpoint_id = e.id AND r.state = 'running' AND r.kind <> 'replay'
             AND r.kind IN ('release', 'drop')
     ) LIMIT ?1"
);

const DEFERRED: &str = concat!(
    stopped!("deliveries_deferred", "state = 'waiting' AND reason = 'deferred'"),
    "NOT EXISTS (
         SELECT 1 FROM replays r WHERE r.endpoint_id = e.id AND r.state = 'running' AND r.kind <> 'replay'
             AND r.kind = 'deferred'
     ) LIMIT ?1"
);

/// See [`whimbrel_core::port::Replays::forgotten`].
pub(in crate::store) async fn forgotten(reads: &SqlitePool, limit: u32) -> Result<Vec<Forgotten>, Fault> {
    let mut all = of_kind(reads, ReplayKind::Release, HELD, limit).await?;
    let rest = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(limit));
    if rest > 0 {
        all.extend(of_kind(reads, ReplayKind::Deferred, DEFERRED, rest).await?);
    }
    Ok(all)
}

async fn of_kind(
    reads: &SqlitePool,
    kind: ReplayKind,
    statement: &'static str,
    limit: u32,
) -> Result<Vec<Forgotten>, Fault> {
    let found = sqlx::query(statement).bind(limit).fetch_all(reads).await?;
    rows::all(&found, |row| {
        let (tenant, endpoint) = (rows::tenant_id(row.try_get(0)?)?, EndpointId::from_uuid(row.try_get(1)?));
        Ok(Forgotten { tenant, endpoint, kind })
    })
}
