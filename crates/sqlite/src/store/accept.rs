//! Storing events and their deliveries.

use std::collections::{HashMap, HashSet};

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::event::Event;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{Accepted, Fanout};
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Intake::accept_as_of`].
pub(super) async fn accept(
    tx: &mut SqliteConnection,
    versions: &[(TenantId, i64)],
    batch: &[Fanout],
) -> Result<Option<Vec<Accepted>>, Fault> {
    let mut seen = HashSet::with_capacity(batch.len());
    let first: Vec<&Fanout> = batch.iter().filter(|fanout| seen.insert(fanout.event.id)).collect();
    let events: Vec<&Event> = first.iter().map(|fanout| &fanout.event).collect();
    let Some(mut stored) = insert_events(tx, versions, &events).await? else { return Ok(None) };
    let fresh: Vec<&Fanout> = first.into_iter().filter(|fanout| !stored.contains(&fanout.event.id)).collect();
    insert_deliveries(tx, &fresh).await?;

    let mut answers = Vec::with_capacity(batch.len());
    for fanout in batch {
        // The second of a batch is a repeat, too.
        let repeated = !stored.insert(fanout.event.id);
        let pending = if repeated {
            still_pending(tx, fanout.event.id).await?
        } else {
            fanout.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Pending).copied().collect()
        };
        answers.push(Accepted { repeated, pending });
    }
    Ok(Some(answers))
}

/// Stores those events that are not there yet, none of which may come twice, and gives the others. These are rare, so they
/// are looked for only when an insert has met one. `None`, and nothing is stored, when a tenant is not at its version.
pub(super) async fn insert_events(
    tx: &mut SqliteConnection,
    versions: &[(TenantId, i64)],
    events: &[&Event],
) -> Result<Option<HashSet<EventId>>, Fault> {
    let versions: HashMap<&str, i64> = versions.iter().map(|(tenant, version)| (tenant.as_str(), *version)).collect();
    let versions = serde_json::json!(versions).to_string();
    let mut stored = HashSet::new();
    for chunk in events.chunks(ROWS_MAX) {
        match insert(tx, &versions, chunk).await {
            // It got as far as a row, so the versions are as they were.
            Err(fault) if fault.is_conflict() => {
                let found = find(tx, chunk).await?;
                let fresh: Vec<&Event> = chunk.iter().copied().filter(|event| !found.contains(&event.id)).collect();
                insert(tx, &versions, &fresh).await?;
                stored.extend(found);
            }
            Err(fault) => return Err(fault),
            // In the first chunk, if at all: it is one transaction.
            Ok(0) => return Ok(None),
            Ok(_) => {}
        }
    }
    Ok(Some(stored))
}

/// Those that are there; at most [`ROWS_MAX`] events.
async fn find(tx: &mut SqliteConnection, events: &[&Event]) -> Result<HashSet<EventId>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT e.id FROM (VALUES ",
        "(?,?)",
        ") AS v CROSS JOIN events e ON e.tenant_id = v.column1 AND e.id = v.column2",
    );
    let mut query = sqlx::query(SELECT.sql(events.len()));
    for event in events {
        query = query.bind(event.tenant.as_str()).bind(event.id.uuid());
    }
    let rows = query.fetch_all(tx).await?;
    rows.iter().map(|row| Ok(EventId::from_uuid(row.try_get(0)?))).collect()
}

/// Stores events that are not there; at most [`ROWS_MAX`]. None if a tenant is not at its version, of those in this JSON
/// object. Gives how many.
async fn insert(tx: &mut SqliteConnection, versions: &str, events: &[&Event]) -> Result<u64, Fault> {
    static INSERT: Batch = Batch::new(
        "WITH changed AS (
             SELECT 1 FROM json_each(?) v LEFT JOIN tenants t ON t.id = v.key WHERE t.endpoints_version IS NOT v.value)
         INSERT INTO events (id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent,
             tracestate, only_endpoint) SELECT * FROM (VALUES ",
        "(?,?,?,?,?,?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM changed)",
    );
    if events.is_empty() {
        return Ok(0);
    }
    let mut query = sqlx::query(INSERT.sql(events.len())).bind(versions);
    for event in events {
        let Event { id, tenant, event_type, occurred_at, body, data_range, trace, only_endpoint } = event;
        query = query
            .bind(id.uuid())
            .bind(tenant.as_str())
            .bind(event_type.as_str())
            .bind(occurred_at.as_micros())
            .bind(&body[..])
            .bind(i64::try_from(data_range.start).unwrap_or(i64::MAX))
            .bind(i64::try_from(data_range.end).unwrap_or(i64::MAX))
            .bind(&trace.traceparent)
            .bind(&trace.tracestate)
            .bind(only_endpoint.map(whimbrel_core::EndpointId::uuid));
    }
    Ok(query.execute(tx).await?.rows_affected())
}

/// Made pending or held, with their first attempt to come.
async fn insert_deliveries(tx: &mut SqliteConnection, fresh: &[&Fanout]) -> Result<(), Fault> {
    static INSERT: Batch = Batch::new(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, sweep_at, round, first_attempt,
             attempt) SELECT *, 1, 1, 1 FROM (VALUES ",
        "(?,?,?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL",
    );
    let deliveries: Vec<(&Fanout, &Delivery)> =
        fresh.iter().flat_map(|fanout| fanout.deliveries.iter().map(move |delivery| (*fanout, delivery))).collect();
    for chunk in deliveries.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.sql(chunk.len()));
        for (Fanout { event, sweep_at, .. }, delivery) in chunk {
            let swept = delivery.state == DeliveryState::Pending;
            query = query
                .bind(delivery.id.uuid())
                .bind(delivery.event.uuid())
                .bind(delivery.endpoint.uuid())
                .bind(event.tenant.as_str())
                .bind(event.event_type.as_str())
                .bind(delivery.state.as_str())
                .bind(swept.then(|| sweep_at.as_micros()));
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// A repeated event's deliveries whose first attempt may not have been published.
async fn still_pending(tx: &mut SqliteConnection, event: EventId) -> Result<Vec<Delivery>, Fault> {
    let found = sqlx::query(concat!(
        "SELECT ",
        rows::delivery_columns!(),
        " FROM deliveries
         WHERE id BETWEEN ?1 AND ?2 AND event_id = ?3 AND state = 'pending' AND round = 1 AND attempt = 1 ORDER BY id"
    ))
    .bind(event.delivery_range().0)
    .bind(event.delivery_range().1)
    .bind(event.uuid())
    .fetch_all(tx)
    .await?;
    rows::all(&found, rows::delivery)
}
