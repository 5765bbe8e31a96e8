//! What the jobs of deliveries are made of.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::event::TraceContext;
use whimbrel_core::id::{DeliveryId, EventId};
use whimbrel_core::port::ToPublish;

use crate::fault::Fault;
use crate::rows::{all, at, bounds, contract, delivery, event_type, tenant_id};

/// What an event's deliveries share.
struct Shared {
    occurred_at: Timestamp,
    body: Bytes,
    trace: TraceContext,
}

/// In order of the events. Two statements that look up by key, so that a body is read once, however many deliveries it
/// has. A delivery whose event or tenant has just gone is left out.
pub(super) async fn read(pool: &PgPool, ids: &[DeliveryId]) -> Result<Vec<ToPublish>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let (low, high) = bounds(&ids);
    let rows = sqlx::query(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
                d.tenant_id, (SELECT contract FROM tenants t WHERE t.id = d.tenant_id), d.event_type,
                coalesce((SELECT version FROM endpoints p WHERE p.id = d.endpoint_id), 0)
         FROM deliveries d WHERE d.id = ANY($1) AND d.id BETWEEN $2 AND $3",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .fetch_all(pool)
    .await?;
    let read = |row| Ok((delivery(row)?, row));
    let mut deliveries: Vec<(Delivery, &PgRow)> = rows.iter().map(read).collect::<Result<_, Fault>>()?;
    deliveries.sort_unstable_by_key(|(delivery, _)| (delivery.event, delivery.id));
    let events = events(pool, &deliveries.iter().map(|(delivery, _)| delivery.event).collect()).await?;
    let mut found = Vec::with_capacity(deliveries.len());
    for (delivery, row) in deliveries {
        let name: Option<&str> = row.try_get(10)?;
        if let (Some(event), Some(name)) = (events.get(&delivery.event), name) {
            found.push(ToPublish {
                delivery,
                tenant: tenant_id(row.try_get(9)?)?,
                contract: contract(name)?,
                event_type: event_type(row.try_get(11)?)?,
                occurred_at: event.occurred_at,
                body: event.body.clone(),
                trace: event.trace.clone(),
                endpoint_version: row.try_get(12)?,
            });
        }
    }
    Ok(found)
}

async fn events(pool: &PgPool, ids: &HashSet<EventId>) -> Result<HashMap<EventId, Shared>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let (low, high) = bounds(&ids);
    let rows = sqlx::query(
        "SELECT id, occurred_at, body, traceparent, tracestate FROM events
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .fetch_all(pool)
    .await?;
    let shared = all(&rows, |row| {
        let shared = Shared {
            occurred_at: at(row, 1)?,
            body: row.try_get::<Vec<u8>, _>(2)?.into(),
            trace: TraceContext { traceparent: row.try_get(3)?, tracestate: row.try_get(4)? },
        };
        Ok((EventId::from_uuid(row.try_get(0)?), shared))
    });
    Ok(shared?.into_iter().collect())
}
