//! The log in. What is there already stays as it is.

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Attempt, DeliveryRow, DeliveryState};
use whimbrel_core::port::{LoggedEvent, StoredKey};

use crate::fault::Fault;
use crate::intake::accept::insert_events;
use crate::ledger::insert_missing;
use crate::rows::{int, state_columns, stored_status};

/// Says how many events were new.
pub(super) async fn log(pool: &PgPool, events: &[LoggedEvent], sweep_at: Timestamp) -> Result<u64, Fault> {
    let mut transaction = pool.begin().await?;
    let fresh = insert_events(&mut transaction, events.iter().map(|logged| &logged.event)).await?;
    let logged = || events.iter().flat_map(|logged| &logged.deliveries);
    let mut rows: Vec<&DeliveryRow> = logged().map(|delivery| &delivery.row).collect();
    rows.sort_unstable_by_key(|row| row.delivery.id);
    insert_deliveries(&mut transaction, &rows, sweep_at).await?;
    let attempts: Vec<Attempt> = logged().flat_map(|delivery| delivery.attempts.iter().cloned()).collect();
    insert_missing(&mut transaction, &attempts).await?;
    transaction.commit().await?;
    Ok(fresh.len() as u64)
}

async fn insert_deliveries(
    connection: &mut PgConnection,
    rows: &[&DeliveryRow],
    sweep_at: Timestamp,
) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
                                 first_attempt, attempt, attempts, status_code, error, sweep_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                              $8::timestamptz[], $9::int[], $10::int[], $11::int[], $12::int[], $13::smallint[],
                              $14::text[], $15::timestamptz[])
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(rows.iter().map(|row| row.delivery.id.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.delivery.event.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.delivery.endpoint.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.tenant.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.event_type.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.delivery.state.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| state_columns(row.delivery.state).0).collect::<Vec<Option<&str>>>())
    .bind(rows.iter().map(|row| state_columns(row.delivery.state).1).collect::<Vec<Option<OffsetDateTime>>>())
    .bind(rows.iter().map(|row| int(row.delivery.round)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| int(row.delivery.first_attempt)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| int(row.delivery.attempt)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| int(row.attempts)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| stored_status(row.status_code)).collect::<Vec<Option<i16>>>())
    .bind(rows.iter().map(|row| row.error.as_deref()).collect::<Vec<Option<&str>>>())
    .bind(rows.iter().map(|row| swept_at(row, sweep_at)).collect::<Vec<Option<OffsetDateTime>>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// When the sweep looks for the job, which stayed behind: not before a retry is due.
fn swept_at(row: &DeliveryRow, sweep_at: Timestamp) -> Option<OffsetDateTime> {
    match row.delivery.state {
        DeliveryState::Pending => Some(sweep_at.into()),
        DeliveryState::Retrying { at } => Some(sweep_at.max(at).into()),
        _ => None,
    }
}

pub(super) async fn keys(pool: &PgPool, keys: &[StoredKey]) -> Result<(), Fault> {
    // In key order, as claims are made.
    let mut sorted: Vec<&StoredKey> = keys.iter().collect();
    sorted.sort_unstable_by(|a, b| (&a.tenant, a.key_hash).cmp(&(&b.tenant, b.key_hash)));
    sqlx::query(
        "INSERT INTO idempotency_keys (tenant_id, key_hash, content_hash, event_id, expires_at)
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::timestamptz[])
         ON CONFLICT (tenant_id, key_hash) DO NOTHING",
    )
    .bind(sorted.iter().map(|key| key.tenant.as_str()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|key| key.key_hash.as_slice()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|key| key.content_hash.as_slice()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|key| key.event.uuid()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|key| OffsetDateTime::from(key.expires_at)).collect::<Vec<_>>())
    .execute(pool)
    .await?;
    Ok(())
}
