//! Writing a decision.

use sqlx::SqliteConnection;
use whimbrel_core::Timestamp;
use whimbrel_core::awaited::Ended;
use whimbrel_core::endpoint::Health;
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{DeliveryChange, Suspended};

use super::super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// Ends deliveries that await their first attempt.
pub(super) async fn ended(tx: &mut SqliteConnection, ended: &[Ended]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'succeeded', state_at = ?, attempts = attempts + 1, status_code = ?, error = NULL,
             sweep_at = NULL, sweeps = 0
         WHERE id IN (",
        "?",
        ")",
    );
    for Ended { at, status_code, deliveries } in ended {
        for chunk in deliveries.chunks(ROWS_MAX) {
            let mut query = sqlx::query(UPDATE.sql(chunk.len())).bind(at.as_micros()).bind(status_code);
            for id in chunk {
                query = query.bind(id.uuid());
            }
            query.execute(&mut *tx).await?;
        }
    }
    Ok(())
}

/// New states. A change begins a new series of sweeps.
pub(super) async fn deliveries(tx: &mut SqliteConnection, changes: &[&DeliveryChange]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = v.column2, reason = v.column3, state_at = v.column4, round = v.column5,
             first_attempt = v.column6, attempt = v.column7, attempts = attempts + v.column8,
             status_code = iif(v.column9, v.column10, status_code), error = iif(v.column9, v.column11, error),
             sweep_at = v.column12, sweeps = 0
         FROM (VALUES ",
        "(?,?,?,?,?,?,?,?,?,?,?,?)",
        ") AS v WHERE deliveries.id = v.column1",
    );
    for chunk in changes.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for DeliveryChange { delivery, attempts_added, last, sweep_at } in chunk {
            let (reason, state_at) = rows::state_columns(delivery.state);
            let (status_code, error) = last.as_ref().map_or((None, None), |(code, error)| (*code, error.as_deref()));
            query = query
                .bind(delivery.id.uuid())
                .bind(delivery.state.as_str())
                .bind(reason)
                .bind(state_at)
                .bind(delivery.round)
                .bind(delivery.first_attempt)
                .bind(delivery.attempt)
                .bind(attempts_added)
                .bind(last.is_some())
                .bind(status_code)
                .bind(error)
                .bind(sweep_at.map(Timestamp::as_micros));
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Runs of failures. They are no change that anyone caches, so no version rises.
pub(super) async fn health(tx: &mut SqliteConnection, changes: &[(EndpointId, Health)]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE endpoints SET consecutive_failures = v.column2, failing_since = v.column3 FROM (VALUES ",
        "(?,?,?)",
        ") AS v WHERE endpoints.id = v.column1",
    );
    for chunk in changes.chunks(ROWS_MAX) {
        let mut query = sqlx::query(UPDATE.sql(chunk.len()));
        for (id, health) in chunk {
            let since = health.failing_since.map(Timestamp::as_micros);
            query = query.bind(id.uuid()).bind(health.consecutive_failures).bind(since);
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Suspensions, one by one: they are rare.
pub(super) async fn suspended(tx: &mut SqliteConnection, suspensions: &[Suspended]) -> Result<(), Fault> {
    for Suspended { endpoint, reason, since } in suspensions {
        sqlx::query(
            "UPDATE endpoints SET status = 'suspended', suspend_reason = ?2, suspended_since = ?3, version = version + 1
             WHERE id = ?1",
        )
        .bind(endpoint.uuid())
        .bind(reason.as_str())
        .bind(since.as_micros())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE tenants SET endpoints_version = endpoints_version + 1
             WHERE id = (SELECT tenant_id FROM endpoints WHERE id = ?1)",
        )
        .bind(endpoint.uuid())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
