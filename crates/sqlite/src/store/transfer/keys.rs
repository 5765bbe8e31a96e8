//! Idempotency keys, in and out.

use sqlx::{Row as _, SqliteConnection, SqlitePool};
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{Page, StoredKey};
use whimbrel_core::tenant::TenantId;

use super::super::{claim, rows};
use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// See [`whimbrel_core::port::Transfer::keys_page`].
pub(in crate::store) async fn keys_page(
    reads: &SqlitePool,
    page: &Page<(TenantId, [u8; 32])>,
    now: Timestamp,
) -> Result<Vec<StoredKey>, Fault> {
    // No tenant's id is empty, so all keys come after the empty text.
    let after = page.after.as_ref();
    let found = sqlx::query(
        "SELECT tenant_id, key_hash, content_hash, event_id, expires_at FROM idempotency_keys
         WHERE (tenant_id, key_hash) > (?1, ?2) AND expires_at > ?3 ORDER BY tenant_id, key_hash LIMIT ?4",
    )
    .bind(after.map_or("", |(tenant, _)| tenant.as_str()))
    .bind(after.map_or(&[][..], |(_, hash)| &hash[..]))
    .bind(now.as_micros())
    .bind(page.limit)
    .fetch_all(reads)
    .await?;
    rows::all(&found, |row| {
        Ok(StoredKey {
            tenant: rows::tenant_id(row.try_get(0)?)?,
            key_hash: claim::hash(row.try_get(1)?)?,
            content_hash: claim::hash(row.try_get(2)?)?,
            event: EventId::from_uuid(row.try_get(3)?),
            expires_at: Timestamp::from_micros(row.try_get(4)?),
        })
    })
}

/// See [`whimbrel_core::port::Transfer::load_keys`].
pub(in crate::store) async fn load_keys(tx: &mut SqliteConnection, keys: &[StoredKey]) -> Result<(), Fault> {
    static INSERT: Batch = Batch::new(
        "INSERT INTO idempotency_keys (tenant_id, key_hash, event_id, content_hash, expires_at) SELECT * FROM (VALUES ",
        "(?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL ON CONFLICT (tenant_id, key_hash) DO NOTHING",
    );
    for chunk in keys.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.sql(chunk.len()));
        for key in chunk {
            query = query
                .bind(key.tenant.as_str())
                .bind(&key.key_hash[..])
                .bind(key.event.uuid())
                .bind(&key.content_hash[..])
                .bind(key.expires_at.as_micros());
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}
