//! Leases on background work (rule 18).

use std::time::Duration;

use sqlx::SqliteConnection;
use uuid::Uuid;
use whimbrel_core::Timestamp;

use crate::fault::Fault;

/// See [`whimbrel_core::port::Upkeep::lease`].
pub(in crate::store) async fn lease(
    tx: &mut SqliteConnection,
    name: &str,
    holder: Uuid,
    now: Timestamp,
    ttl: Duration,
) -> Result<bool, Fault> {
    let done = sqlx::query(
        "INSERT INTO leases (name, holder, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
         WHERE holder = excluded.holder OR expires_at <= ?4",
    )
    .bind(name)
    .bind(holder)
    .bind((now + ttl).as_micros())
    .bind(now.as_micros())
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// See [`whimbrel_core::port::Upkeep::release_lease`].
pub(in crate::store) async fn release(tx: &mut SqliteConnection, name: &str, holder: Uuid) -> Result<(), Fault> {
    sqlx::query("DELETE FROM leases WHERE name = ?1 AND holder = ?2").bind(name).bind(holder).execute(tx).await?;
    Ok(())
}
