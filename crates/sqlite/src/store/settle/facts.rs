//! What is known about the outcomes' deliveries and endpoints.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::EndpointFacts;

use super::super::lookup::POSITIONS;
use super::super::{endpoint_rows, rows};
use super::Settled;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// The known deliveries.
pub(super) async fn deliveries(
    tx: &mut SqliteConnection,
    batch: &[Settled],
) -> Result<HashMap<DeliveryId, Delivery>, Fault> {
    let mut deliveries = HashMap::with_capacity(batch.len());
    for chunk in batch.chunks(ROWS_MAX) {
        let mut query = sqlx::query(POSITIONS.sql(chunk.len()));
        for settled in chunk {
            query = query.bind(settled.delivery.uuid());
        }
        for delivery in rows::all(&query.fetch_all(&mut *tx).await?, rows::delivery)? {
            deliveries.insert(delivery.id, delivery);
        }
    }
    Ok(deliveries)
}

/// The existing endpoints. Healthy ones too: without locks to take, reading them costs next to nothing.
pub(super) async fn endpoints(
    tx: &mut SqliteConnection,
    batch: &[Settled],
) -> Result<HashMap<EndpointId, EndpointFacts>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT id, tenant_id, status, suspend_reason, suspended_since, consecutive_failures, failing_since,
             activated_at, version, options FROM endpoints WHERE id IN (",
        "?",
        ")",
    );
    let mut ids: Vec<EndpointId> = batch.iter().map(|settled| settled.endpoint).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut endpoints = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        endpoints.extend(rows::all(&query.fetch_all(&mut *tx).await?, endpoint_rows::facts)?);
    }
    Ok(endpoints)
}
