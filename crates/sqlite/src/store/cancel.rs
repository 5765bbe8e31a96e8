//! Cancelling what is under way when an endpoint goes. A deletion must not hold up the writer for the length of an
//! endpoint's history, so each statement walks an index of nothing but unfinished deliveries.

use sqlx::SqliteConnection;
use uuid::Uuid;
use whimbrel_core::id::EndpointId;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;

/// Cancels an endpoint's deliveries that are not at their end. The endpoint must still be there.
pub(super) async fn of_endpoint(tx: &mut SqliteConnection, endpoint: EndpointId) -> Result<(), Fault> {
    of(tx, Some(endpoint.uuid()), None).await
}

/// Likewise for all endpoints of a tenant.
pub(super) async fn of_tenant(tx: &mut SqliteConnection, tenant: &TenantId) -> Result<(), Fault> {
    of(tx, None, Some(tenant.as_str())).await
}

/// A statement that cancels what one index holds of the endpoints that go.
macro_rules! cancel {
    ($index:literal, $unfinished:literal) => {
        concat!(
            "UPDATE deliveries INDEXED BY ",
            $index,
            " SET state = 'cancelled', reason = NULL, state_at = NULL, sweep_at = NULL WHERE ",
            $unfinished,
            " AND endpoint_id IN (SELECT id FROM endpoints WHERE id = ?1 OR tenant_id = ?2)"
        )
    };
}

async fn of(tx: &mut SqliteConnection, endpoint: Option<Uuid>, tenant: Option<&str>) -> Result<(), Fault> {
    let statements = [
        // Whatever has a job out is swept: that is all pending and retrying ones, of every endpoint.
        cancel!("deliveries_overdue", "sweep_at IS NOT NULL"),
        cancel!("deliveries_held", "state = 'held'"),
        cancel!("deliveries_deferred", "state = 'waiting' AND reason = 'deferred'"),
        cancel!("deliveries_manual", "state = 'waiting' AND reason = 'manual'"),
    ];
    for statement in statements {
        sqlx::query(statement).bind(endpoint).bind(tenant).execute(&mut *tx).await?;
    }
    Ok(())
}
