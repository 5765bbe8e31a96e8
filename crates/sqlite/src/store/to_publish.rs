//! What the tracker's jobs carry.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::event::TraceContext;
use whimbrel_core::id::DeliveryId;
use whimbrel_core::port::ToPublish;

use super::{endpoint_rows, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Ledger::to_publish`].
pub(super) async fn to_publish(reads: &SqlitePool, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
             d.tenant_id, d.event_type, t.contract, e.occurred_at, e.body, e.traceparent, e.tracestate,
             coalesce(p.version, 0)
         FROM deliveries d
         JOIN tenants t ON t.id = d.tenant_id
         JOIN events e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
         LEFT JOIN endpoints p ON p.id = d.endpoint_id
         WHERE d.id IN (",
        "?",
        ")",
    );
    let mut jobs = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        jobs.extend(rows::all(&query.fetch_all(reads).await?, job)?);
    }
    Ok(jobs)
}

fn job(row: &SqliteRow) -> Result<ToPublish, Fault> {
    let body: Vec<u8> = row.try_get(13)?;
    Ok(ToPublish {
        delivery: rows::delivery(row)?,
        tenant: rows::tenant_id(row.try_get(9)?)?,
        event_type: rows::event_type(row.try_get(10)?)?,
        contract: endpoint_rows::contract(row.try_get(11)?)?,
        occurred_at: Timestamp::from_micros(row.try_get(12)?),
        body: body.into(),
        trace: TraceContext { traceparent: row.try_get(14)?, tracestate: row.try_get(15)? },
        endpoint_version: row.try_get(16)?,
    })
}
