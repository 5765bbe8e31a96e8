//! The manual retry, of a delivery or of an event at an endpoint.

use sqlx::{PgConnection, Row as _};
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::port::Retried;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::rows;

/// A new round, whose first number is one past the awaited or last one: an attempt of the old round that is
/// still under way keeps its own number (rule 1).
pub(super) async fn delivery(
    connection: &mut PgConnection,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut found = rows::delivery(&row)?;
    let idle = matches!(
        found.state,
        DeliveryState::Retrying { .. } | DeliveryState::Failed { .. } | DeliveryState::Succeeded { .. }
    );
    if !idle || !is_sendable(connection, &found).await? {
        return Ok(Some(Retried::Not(found)));
    }
    found.round += 1;
    found.attempt += 1;
    found.first_attempt = found.attempt;
    found.state = DeliveryState::Waiting(WaitReason::Manual);
    sqlx::query(
        "UPDATE deliveries SET state = 'waiting', reason = 'manual', state_at = NULL, round = $2, first_attempt = $3,
                attempt = $3, sweep_at = NULL, sweeps = 0, replay_id = NULL
         WHERE id = $1",
    )
    .bind(id.uuid())
    .bind(rows::int(found.round))
    .bind(rows::int(found.attempt))
    .execute(connection)
    .await?;
    Ok(Some(Retried::Waiting(found)))
}

/// Whether its endpoint takes deliveries and its payload is still there. Asked once the delivery is locked, so that an
/// erasure that had it locked is seen.
async fn is_sendable(connection: &mut PgConnection, delivery: &Delivery) -> Result<bool, Fault> {
    let sendable = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM endpoints WHERE id = $1 AND status = 'active')
            AND EXISTS (SELECT 1 FROM events WHERE id = $2 AND octet_length(body) > 0)",
    )
    .bind(delivery.endpoint.uuid())
    .bind(delivery.event.uuid())
    .fetch_one(connection)
    .await?;
    Ok(sendable)
}

/// The same for an event at an endpoint, whose delivery is made if there is none.
pub(super) async fn event(
    connection: &mut PgConnection,
    tenant: &TenantId,
    endpoint: EndpointId,
    event: EventId,
) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT e.status = 'active' AND octet_length(v.body) > 0 FROM events v, endpoints e
         WHERE v.id = $1 AND v.tenant_id = $3 AND e.id = $2 AND e.tenant_id = $3 FOR SHARE OF v",
    )
    .bind(event.uuid())
    .bind(endpoint.uuid())
    .bind(tenant.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let fresh = Delivery::new(event, endpoint, DeliveryState::Waiting(WaitReason::Manual));
    let sendable: bool = row.try_get(0)?;
    if sendable && insert(connection, &fresh).await? {
        return Ok(Some(Retried::Waiting(fresh)));
    }
    let known = delivery(connection, tenant, fresh.id).await?;
    Ok(Some(known.unwrap_or(Retried::Not(Delivery { state: DeliveryState::Cancelled, ..fresh }))))
}

/// False when it is there.
async fn insert(connection: &mut PgConnection, fresh: &Delivery) -> Result<bool, Fault> {
    let inserted = sqlx::query(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, round, first_attempt,
                                 attempt)
         SELECT $1, id, $3, tenant_id, event_type, 'waiting', 'manual', 1, 1, 1 FROM events WHERE id = $2
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(fresh.id.uuid())
    .bind(fresh.event.uuid())
    .bind(fresh.endpoint.uuid())
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
