//! What the sender reads.

use async_trait::async_trait;
use uuid::Uuid;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::id::{DeliveryId, EndpointId};
use whimbrel_core::port::{Lookup, StoreError};

use crate::fault::Fault;
use crate::intake::positions;
use crate::open::PostgresStore;

#[async_trait]
impl Lookup for PostgresStore {
    async fn endpoints(&self, ids: &[EndpointId]) -> Result<Vec<Endpoint>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let rows = sqlx::query(
            "SELECT e.id, e.tenant_id, t.contract, e.url, e.events, e.description, e.secrets, e.status, e.suspend_reason,
                    e.suspended_since, e.consecutive_failures, e.failing_since, e.version, e.activated_at, e.created_at
             FROM endpoints e JOIN tenants t ON t.id = e.tenant_id WHERE e.id = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(rows.iter().map(|row| self.endpoint_row(row)).collect::<Result<_, _>>()?)
    }

    async fn positions(&self, ids: &[DeliveryId]) -> Result<Vec<Delivery>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Fault::from)?;
        Ok(positions(&mut connection, ids).await?)
    }
}
