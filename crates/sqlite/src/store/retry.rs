//! Asking for a delivery again (rule 1).

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::port::Retried;
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::fault::Fault;

/// The delivery at the start of a new round, in this state: its first attempt's number is one that was not given out.
pub(super) fn next_round(delivery: Delivery, state: DeliveryState) -> Delivery {
    let attempt = delivery.attempt + 1;
    Delivery { state, round: delivery.round + 1, first_attempt: attempt, attempt, ..delivery }
}

/// See [`whimbrel_core::port::Log::retry`].
pub(super) async fn retry(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
             coalesce(p.status = 'active' AND length(e.body) > 0, 0)
         FROM deliveries d
         LEFT JOIN endpoints p ON p.id = d.endpoint_id
         LEFT JOIN events e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
         WHERE d.id = ?1 AND d.tenant_id = ?2",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (delivery, possible): (Delivery, bool) = (rows::delivery(&row)?, row.try_get(9)?);
    let retriable = matches!(
        delivery.state,
        DeliveryState::Retrying { .. } | DeliveryState::Failed { .. } | DeliveryState::Succeeded { .. }
    );
    if !(possible && retriable) {
        return Ok(Some(Retried::Not(delivery)));
    }
    let next = next_round(delivery, DeliveryState::Waiting(WaitReason::Manual));
    begin_round(tx, &next).await?;
    Ok(Some(Retried::Waiting(next)))
}

/// The round is nobody's but the asker's: no replay's either.
async fn begin_round(tx: &mut SqliteConnection, next: &Delivery) -> Result<(), Fault> {
    let (reason, state_at) = rows::state_columns(next.state);
    sqlx::query(
        "UPDATE deliveries SET state = ?2, reason = ?3, state_at = ?4, round = ?5, first_attempt = ?6, attempt = ?7,
             sweep_at = NULL, sweeps = 0, replay_id = NULL
         WHERE id = ?1",
    )
    .bind(next.id.uuid())
    .bind(next.state.as_str())
    .bind(reason)
    .bind(state_at)
    .bind(next.round)
    .bind(next.first_attempt)
    .bind(next.attempt)
    .execute(tx)
    .await?;
    Ok(())
}

/// See [`whimbrel_core::port::Log::replay_event`].
pub(super) async fn replay_event(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    endpoint: EndpointId,
    event: EventId,
) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT p.status = 'active', length(e.body) > 0, e.event_type
         FROM endpoints p CROSS JOIN events e ON e.tenant_id = p.tenant_id
         WHERE p.id = ?2 AND p.tenant_id = ?1 AND e.id = ?3",
    )
    .bind(tenant.as_str())
    .bind(endpoint.uuid())
    .bind(event.uuid())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if let Some(retried) = retry(tx, tenant, DeliveryId::of(event, endpoint)).await? {
        return Ok(Some(retried));
    }
    let delivery = |state| Delivery::new(event, endpoint, state);
    Ok(Some(match (row.try_get(0)?, row.try_get(1)?) {
        (_, false) => Retried::Not(delivery(DeliveryState::Cancelled)),
        (false, true) => Retried::Not(delivery(DeliveryState::Held)),
        (true, true) => {
            let new = delivery(DeliveryState::Waiting(WaitReason::Manual));
            insert(tx, tenant, row.try_get(2)?, &new).await?;
            Retried::Waiting(new)
        }
    }))
}

async fn insert(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    event_type: &str,
    delivery: &Delivery,
) -> Result<(), Fault> {
    let (reason, state_at) = rows::state_columns(delivery.state);
    sqlx::query(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
             first_attempt, attempt) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .bind(delivery.id.uuid())
    .bind(delivery.event.uuid())
    .bind(delivery.endpoint.uuid())
    .bind(tenant.as_str())
    .bind(event_type)
    .bind(delivery.state.as_str())
    .bind(reason)
    .bind(state_at)
    .bind(delivery.round)
    .bind(delivery.first_attempt)
    .bind(delivery.attempt)
    .execute(tx)
    .await?;
    Ok(())
}
