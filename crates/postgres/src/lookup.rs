//! What the sender reads.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::endpoint::{Endpoint, EndpointStatus};
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::{Lookup, StoreError};

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::registry::endpoint_columns;
use crate::rows::{all, bounds, delivery, endpoint_status};

#[async_trait]
impl Lookup for PostgresStore {
    async fn endpoints(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query(concat!(endpoint_columns!(), " WHERE e.id = ANY($1)"))
            .bind(ids)
            .fetch_all(&self.keyed)
            .await
            .map_err(Fault::from)?;
        Ok(rows.iter().map(|row| self.endpoint_row(row)).collect::<Result<_, _>>()?)
    }

    async fn statuses(&self, ids: &[EndpointId]) -> Result<HashMap<EndpointId, EndpointStatus>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query("SELECT id, status, suspend_reason, suspended_since FROM endpoints WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.keyed)
            .await
            .map_err(Fault::from)?;
        let status = |row: &PgRow| Ok((EndpointId::from_uuid(row.try_get(0)?), endpoint_status(row, 1)?));
        Ok(all(&rows, status)?.into_iter().collect())
    }

    async fn positions(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let (low, high) = bounds(&ids);
        let rows = sqlx::query(
            "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
             WHERE id = ANY($1) AND id BETWEEN $2 AND $3",
        )
        .bind(ids)
        .bind(low)
        .bind(high)
        .fetch_all(&self.keyed)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, delivery)?)
    }
}
