//! Erasing payloads. The rows stay: what was delivered where and when is no secret.

use sqlx::SqliteConnection;
use whimbrel_core::id::EventId;
use whimbrel_core::tenant::TenantId;

use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Log::erase_event`].
pub(super) async fn event(tx: &mut SqliteConnection, tenant: &TenantId, id: EventId) -> Result<bool, Fault> {
    let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM events WHERE tenant_id = ?1 AND id = ?2")
        .bind(tenant.as_str())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
    if known.is_some() {
        events(tx, tenant, &[id]).await?;
    }
    Ok(known.is_some())
}

/// Erases what these events of a tenant said and what their receivers answered, and cancels what is under way. The
/// bytes are overwritten in the file, not only given up.
pub(super) async fn events(tx: &mut SqliteConnection, tenant: &TenantId, ids: &[EventId]) -> Result<(), Fault> {
    sqlx::query("PRAGMA secure_delete = on").execute(&mut *tx).await?;
    let done = overwrite(tx, tenant, ids).await;
    sqlx::query("PRAGMA secure_delete = off").execute(&mut *tx).await?;
    done
}

async fn overwrite(tx: &mut SqliteConnection, tenant: &TenantId, ids: &[EventId]) -> Result<(), Fault> {
    for chunk in ids.chunks(ROWS_MAX) {
        bodies(tx, tenant, chunk).await?;
        answers(tx, chunk).await?;
        cancel(tx, chunk).await?;
    }
    Ok(())
}

async fn bodies(tx: &mut SqliteConnection, tenant: &TenantId, ids: &[EventId]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE events SET body = x'', data_start = 0, data_end = 0 FROM (VALUES ",
        "(?,?)",
        ") AS v WHERE events.tenant_id = v.column1 AND events.id = v.column2",
    );
    let mut query = sqlx::query(UPDATE.sql(ids.len()));
    for id in ids {
        query = query.bind(tenant.as_str()).bind(id.uuid());
    }
    query.execute(tx).await?;
    Ok(())
}

async fn answers(tx: &mut SqliteConnection, ids: &[EventId]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE attempts SET response_body = x'' WHERE response_body <> x'' AND delivery_id IN (
             SELECT d.id FROM (VALUES ",
        "(?,?,?)",
        ") AS v CROSS JOIN deliveries d ON d.id BETWEEN v.column1 AND v.column2 AND d.event_id = v.column3)",
    );
    run(tx, &UPDATE, ids).await
}

async fn cancel(tx: &mut SqliteConnection, ids: &[EventId]) -> Result<(), Fault> {
    static UPDATE: Batch = Batch::new(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
         WHERE state IN ('pending', 'retrying', 'waiting', 'held') AND id IN (
             SELECT d.id FROM (VALUES ",
        "(?,?,?)",
        ") AS v CROSS JOIN deliveries d ON d.id BETWEEN v.column1 AND v.column2 AND d.event_id = v.column3)",
    );
    run(tx, &UPDATE, ids).await
}

/// Runs a statement over events' deliveries: from, to and event of each.
pub(super) async fn run(tx: &mut SqliteConnection, statement: &'static Batch, ids: &[EventId]) -> Result<(), Fault> {
    let mut query = sqlx::query(statement.sql(ids.len()));
    for id in ids {
        let (from, to) = id.delivery_range();
        query = query.bind(from).bind(to).bind(id.uuid());
    }
    query.execute(tx).await?;
    Ok(())
}
