//! Cancelling what is under way when an endpoint goes.

use sqlx::SqliteConnection;
use whimbrel_core::id::EndpointId;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;

/// Cancels an endpoint's deliveries that are not at their end.
pub(super) async fn of_endpoint(tx: &mut SqliteConnection, endpoint: EndpointId) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
         WHERE endpoint_id = ?1 AND state IN ('pending', 'retrying', 'waiting', 'held')",
    )
    .bind(endpoint.uuid())
    .execute(tx)
    .await?;
    Ok(())
}

/// Likewise for all endpoints of a tenant.
pub(super) async fn of_tenant(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE deliveries SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL
         WHERE endpoint_id IN (SELECT id FROM endpoints WHERE tenant_id = ?1)
             AND state IN ('pending', 'retrying', 'waiting', 'held')",
    )
    .bind(tenant.as_str())
    .execute(tx)
    .await?;
    Ok(())
}
