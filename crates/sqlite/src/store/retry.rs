//! Asking for a delivery again (rule 1).

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::delivery::{Delivery, DeliveryState, WaitReason};
use whimbrel_core::id::DeliveryId;
use whimbrel_core::port::Retried;
use whimbrel_core::tenant::TenantId;

use super::rows;
use crate::fault::Fault;

/// See [`whimbrel_core::port::Log::retry`].
pub(super) async fn retry(
    tx: &mut SqliteConnection,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<Retried>, Fault> {
    let row = sqlx::query(
        "SELECT d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt, d.attempt,
             coalesce(e.status = 'active', 0)
         FROM deliveries d LEFT JOIN endpoints e ON e.id = d.endpoint_id WHERE d.id = ?1 AND d.tenant_id = ?2",
    )
    .bind(id.uuid())
    .bind(tenant.as_str())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (delivery, active): (Delivery, bool) = (rows::delivery(&row)?, row.try_get(9)?);
    let retriable = matches!(
        delivery.state,
        DeliveryState::Retrying { .. } | DeliveryState::Failed { .. } | DeliveryState::Succeeded { .. }
    );
    if !(active && retriable) {
        return Ok(Some(Retried::Not(delivery)));
    }
    let next = Delivery {
        state: DeliveryState::Waiting(WaitReason::Manual),
        round: delivery.round + 1,
        first_attempt: delivery.attempt + 1,
        attempt: delivery.attempt + 1,
        ..delivery
    };
    begin_round(tx, &next).await?;
    Ok(Some(Retried::Waiting(next)))
}

async fn begin_round(tx: &mut SqliteConnection, next: &Delivery) -> Result<(), Fault> {
    let (reason, state_at) = rows::state_columns(next.state);
    sqlx::query(
        "UPDATE deliveries SET state = ?2, reason = ?3, state_at = ?4, round = ?5, first_attempt = ?6, attempt = ?7,
             sweep_at = NULL, sweeps = 0
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
