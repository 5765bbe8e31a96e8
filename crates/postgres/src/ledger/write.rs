//! What a decision writes.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::awaited::Ended;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::endpoint::Health;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{DeliveryChange, Suspended};

use crate::fault::Fault;
use crate::rows::{bounds, int, state_columns, stored_status};

/// Ends those deliveries that still await their first attempt, and says how many did.
pub(super) async fn ended(connection: &mut PgConnection, ended: &[Ended]) -> Result<u64, Fault> {
    let mut count = 0;
    for Ended { at, status_code, deliveries } in ended {
        let ids: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.uuid()).collect();
        let (low, high) = bounds(&ids);
        let done = sqlx::query(
            "UPDATE deliveries SET state = 'succeeded', state_at = $4, attempts = attempts + 1, status_code = $5,
                    error = NULL, sweep_at = NULL, sweeps = 0
             WHERE id = ANY($1) AND id BETWEEN $2 AND $3 AND state = 'pending' AND round = 1 AND attempt = 1",
        )
        .bind(ids)
        .bind(low)
        .bind(high)
        .bind(OffsetDateTime::from(*at))
        .bind(stored_status(*status_code))
        .execute(&mut *connection)
        .await?;
        count += done.rows_affected();
    }
    Ok(count)
}

/// New states. The last attempt's result stays where none was recorded.
///
/// The ids stand there twice, so that the rows are found by them before anything is joined: a range around them would
/// leave out partitions as well, but in a partition that was never analysed, as every day's is for a while, the planner
/// takes any range for a small one.
pub(super) async fn deliveries(connection: &mut PgConnection, changes: &[&DeliveryChange]) -> Result<(), Fault> {
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = changes.iter().map(|change| change.delivery.id.uuid()).collect();
    let (low, high) = bounds(&ids);
    let state = |change: &DeliveryChange| -> DeliveryState { change.delivery.state };
    let last = |change: &DeliveryChange| change.last.clone().unwrap_or_default();
    sqlx::query(
        "UPDATE deliveries d
         SET state = c.state, reason = c.reason, state_at = c.state_at, round = c.round, first_attempt = c.first_attempt,
             attempt = c.attempt, attempts = d.attempts + c.added, sweep_at = c.sweep_at, sweeps = 0,
             status_code = CASE WHEN c.has_last THEN c.status_code ELSE d.status_code END,
             error = CASE WHEN c.has_last THEN c.error ELSE d.error END
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::int[], $6::int[], $7::int[], $8::int[],
                     $9::timestamptz[], $10::bool[], $11::smallint[], $12::text[])
              AS c (id, state, reason, state_at, round, first_attempt, attempt, added, sweep_at, has_last, status_code,
                    error)
         WHERE d.id = c.id AND d.id = ANY($1) AND d.id BETWEEN $13 AND $14",
    )
    .bind(ids)
    .bind(changes.iter().map(|change| state(change).as_str()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| state_columns(state(change)).0).collect::<Vec<Option<&str>>>())
    .bind(changes.iter().map(|change| state_columns(state(change)).1).collect::<Vec<Option<OffsetDateTime>>>())
    .bind(changes.iter().map(|change| int(change.delivery.round)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| int(change.delivery.first_attempt)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| int(change.delivery.attempt)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| int(change.attempts_added)).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| change.sweep_at.map(Into::into)).collect::<Vec<Option<OffsetDateTime>>>())
    .bind(changes.iter().map(|change| change.last.is_some()).collect::<Vec<_>>())
    .bind(changes.iter().map(|change| stored_status(last(change).0)).collect::<Vec<Option<i16>>>())
    .bind(changes.iter().map(|change| last(change).1).collect::<Vec<Option<String>>>())
    .bind(low)
    .bind(high)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn health(connection: &mut PgConnection, rows: &[(EndpointId, Health)]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE endpoints e SET consecutive_failures = h.failures, failing_since = h.since
         FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS h (id, failures, since)
         WHERE e.id = h.id AND e.id = ANY($1)",
    )
    .bind(rows.iter().map(|(id, _)| id.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, health)| int(health.consecutive_failures)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, health)| health.failing_since.map(Into::into)).collect::<Vec<Option<OffsetDateTime>>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Suspends, and raises the versions of endpoints and tenants: copies of either are old now.
pub(super) async fn suspensions(connection: &mut PgConnection, rows: &[Suspended]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH suspended AS (
             UPDATE endpoints e
             SET status = 'suspended', suspend_reason = s.reason, suspended_since = s.since, version = e.version + 1
             FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS s (id, reason, since)
             WHERE e.id = s.id AND e.id = ANY($1) RETURNING e.tenant_id
         )
         UPDATE tenants SET endpoints_version = endpoints_version + 1
         WHERE id IN (SELECT tenant_id FROM suspended)",
    )
    .bind(rows.iter().map(|row| row.endpoint.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.reason.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.since.into()).collect::<Vec<OffsetDateTime>>())
    .execute(connection)
    .await?;
    Ok(())
}
