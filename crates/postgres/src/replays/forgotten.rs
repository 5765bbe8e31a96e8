//! Endpoints whose deliveries no running replay will take.

use sqlx::{PgPool, Row as _};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::Forgotten;
use whimbrel_core::replay::ReplayKind;

use crate::fault::Fault;
use crate::rows::{all, tenant_id};

/// Hops from endpoint to endpoint over the partial indexes: the cost is that of the endpoints that have such
/// deliveries, not of the deliveries.
const FORGOTTEN: &str = "
    WITH RECURSIVE held (endpoint_id) AS (
        (SELECT endpoint_id FROM deliveries WHERE state = 'held' ORDER BY endpoint_id, id LIMIT 1)
        UNION ALL
        SELECT next.endpoint_id FROM held CROSS JOIN LATERAL (
            SELECT d.endpoint_id FROM deliveries d WHERE d.state = 'held' AND d.endpoint_id > held.endpoint_id
            ORDER BY d.endpoint_id, d.id LIMIT 1) next
    ), deferred (endpoint_id) AS (
        (SELECT endpoint_id FROM deliveries WHERE state = 'waiting' AND reason = 'deferred'
         ORDER BY endpoint_id, id LIMIT 1)
        UNION ALL
        SELECT next.endpoint_id FROM deferred CROSS JOIN LATERAL (
            SELECT d.endpoint_id FROM deliveries d
            WHERE d.state = 'waiting' AND d.reason = 'deferred' AND d.endpoint_id > deferred.endpoint_id
            ORDER BY d.endpoint_id, d.id LIMIT 1) next
    )
    SELECT e.tenant_id, e.id, 'release' FROM held JOIN endpoints e ON e.id = held.endpoint_id
    WHERE e.status = 'active' AND NOT EXISTS (
        SELECT 1 FROM replays r WHERE r.endpoint_id = e.id AND r.state = 'running' AND r.kind IN ('release', 'drop'))
    UNION ALL
    SELECT e.tenant_id, e.id, 'deferred' FROM deferred JOIN endpoints e ON e.id = deferred.endpoint_id
    WHERE NOT EXISTS (
        SELECT 1 FROM replays r WHERE r.endpoint_id = e.id AND r.state = 'running' AND r.kind = 'deferred')
    LIMIT $1";

pub(super) async fn forgotten(pool: &PgPool, limit: u32) -> Result<Vec<Forgotten>, Fault> {
    let rows = sqlx::query(FORGOTTEN).bind(i64::from(limit)).fetch_all(pool).await?;
    all(&rows, |row| {
        let word: &str = row.try_get(2)?;
        Ok(Forgotten {
            tenant: tenant_id(row.try_get(0)?)?,
            endpoint: EndpointId::from_uuid(row.try_get(1)?),
            kind: ReplayKind::parse(word).ok_or_else(|| Fault::Row(format!("`{word}` is no kind of a replay")))?,
        })
    })
}
