//! What is known about the outcomes' deliveries and endpoints.

use std::collections::HashMap;

use sqlx::SqliteConnection;
use whimbrel_core::awaited::Awaited;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::EndpointFacts;

use super::super::lookup::POSITIONS;
use super::super::{endpoint_rows, rows};
use super::Settled;
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// Whether all of them are as they were made. Counting is cheaper than reading, and nobody else writes meanwhile.
pub(super) async fn all_await(tx: &mut SqliteConnection, awaited: &Awaited) -> Result<bool, Fault> {
    static COUNT: Batch = Batch::new(
        "SELECT count(*) FROM deliveries WHERE state = 'pending' AND round = 1 AND attempt = 1 AND id IN (",
        "?",
        ")",
    );
    let ids: Vec<DeliveryId> = awaited.keys().copied().collect();
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query_scalar(COUNT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        let count: u32 = query.fetch_one(&mut *tx).await?;
        if count as usize != chunk.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The known ones of the other deliveries.
pub(super) async fn deliveries(
    tx: &mut SqliteConnection,
    batch: &[Settled],
    awaited: &Awaited,
) -> Result<HashMap<DeliveryId, Delivery>, Fault> {
    let ids = batch.iter().map(|settled| settled.delivery);
    let others: Vec<DeliveryId> = ids.filter(|id| !awaited.contains_key(id)).collect();
    let mut deliveries = HashMap::with_capacity(others.len());
    for chunk in others.chunks(ROWS_MAX) {
        let mut query = sqlx::query(POSITIONS.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
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
