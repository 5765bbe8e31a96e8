//! What the sender reads.

use std::collections::HashMap;

use sqlx::{Row as _, SqlitePool};
use whimbrel_core::delivery::Delivery;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::sealing::KeyRing;

use super::{endpoint_rows, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Lookup::endpoints`].
pub(super) async fn endpoints(reads: &SqlitePool, ring: &KeyRing, ids: &[EndpointId]) -> Result<Vec<Endpoint>, Fault> {
    static SELECT: Batch = Batch::new(endpoint_rows::select_endpoint!("WHERE e.id IN ("), "?", ")");
    let mut endpoints = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        let found = query.fetch_all(reads).await?;
        endpoints.extend(rows::all(&found, |row| endpoint_rows::endpoint(row, ring))?);
    }
    Ok(endpoints)
}

/// See [`whimbrel_core::port::Lookup::statuses`].
pub(super) async fn statuses(
    reads: &SqlitePool,
    ids: &[EndpointId],
) -> Result<HashMap<EndpointId, EndpointStatus>, Fault> {
    static SELECT: Batch =
        Batch::new("SELECT id, status, suspend_reason, suspended_since FROM endpoints WHERE id IN (", "?", ")");
    let mut statuses = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        for row in query.fetch_all(reads).await? {
            let id = EndpointId::from_uuid(row.try_get(0)?);
            statuses.insert(id, endpoint_rows::status(id, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)?);
        }
    }
    Ok(statuses)
}

/// See [`whimbrel_core::port::Lookup::positions`].
pub(super) async fn positions(reads: &SqlitePool, ids: &[DeliveryId]) -> Result<Vec<Delivery>, Fault> {
    let mut deliveries = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_MAX) {
        let mut query = sqlx::query(POSITIONS.sql(chunk.len()));
        for id in chunk {
            query = query.bind(id.uuid());
        }
        deliveries.extend(rows::all(&query.fetch_all(reads).await?, rows::delivery)?);
    }
    Ok(deliveries)
}

/// Deliveries by id.
pub(super) static POSITIONS: Batch =
    Batch::new(concat!("SELECT ", rows::delivery_columns!(), " FROM deliveries WHERE id IN ("), "?", ")");
