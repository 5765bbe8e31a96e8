//! Idempotency keys (rule 6).

use std::collections::HashMap;

use sqlx::{Row as _, SqliteConnection};
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{Claim, Claimed};
use whimbrel_core::tenant::TenantId;

use crate::batch::{Batch, ROWS_MAX};
use crate::fault::Fault;

/// Whose key, and its hash.
type Key = (TenantId, [u8; 32]);

/// Which event has a key, and the hash of its content.
type Held = (EventId, [u8; 32]);

/// See [`whimbrel_core::port::Intake::claim`]. The one writer has no rival, so it may look first and write then.
pub(super) async fn claim(tx: &mut SqliteConnection, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, Fault> {
    let mut held = held(tx, claims, now).await?;
    let (mut answers, mut fresh) = (Vec::with_capacity(claims.len()), Vec::new());
    for claim in claims {
        let key = (claim.tenant.clone(), claim.key_hash);
        answers.push(match held.get(&key) {
            Some((event, content)) if *content == claim.content_hash => Claimed::Repeat(*event),
            Some(_) => Claimed::Conflict,
            None => {
                held.insert(key, (claim.event, claim.content_hash));
                fresh.push(claim);
                Claimed::Fresh
            }
        });
    }
    write(tx, &fresh).await?;
    Ok(answers)
}

/// The keys among the claims' that are taken. An expired one is free.
async fn held(tx: &mut SqliteConnection, claims: &[Claim], now: Timestamp) -> Result<HashMap<Key, Held>, Fault> {
    static SELECT: Batch = Batch::new(
        "SELECT v.column1, k.key_hash, k.event_id, k.content_hash, k.expires_at FROM (VALUES ",
        "(?,?)",
        ") AS v CROSS JOIN idempotency_keys k ON k.tenant_id = v.column1 AND k.key_hash = v.column2",
    );
    let mut held = HashMap::new();
    for chunk in claims.chunks(ROWS_MAX) {
        let mut query = sqlx::query(SELECT.sql(chunk.len()));
        for claim in chunk {
            query = query.bind(claim.tenant.as_str()).bind(&claim.key_hash[..]);
        }
        for row in query.fetch_all(&mut *tx).await? {
            let expires_at: i64 = row.try_get(4)?;
            if expires_at > now.as_micros() {
                let key = (super::rows::tenant_id(row.try_get(0)?)?, hash(row.try_get(1)?)?);
                held.insert(key, (EventId::from_uuid(row.try_get(2)?), hash(row.try_get(3)?)?));
            }
        }
    }
    Ok(held)
}

/// A stored hash.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|_| Fault::Row(format!("a stored hash has {} bytes", bytes.len())))
}

async fn write(tx: &mut SqliteConnection, fresh: &[&Claim]) -> Result<(), Fault> {
    // Conflicts are with expired keys only.
    static INSERT: Batch = Batch::new(
        "INSERT INTO idempotency_keys (tenant_id, key_hash, event_id, content_hash, expires_at) SELECT * FROM (VALUES ",
        "(?,?,?,?,?)",
        ") WHERE column1 IS NOT NULL ON CONFLICT (tenant_id, key_hash) DO UPDATE
         SET event_id = excluded.event_id, content_hash = excluded.content_hash, expires_at = excluded.expires_at",
    );
    for chunk in fresh.chunks(ROWS_MAX) {
        let mut query = sqlx::query(INSERT.sql(chunk.len()));
        for claim in chunk {
            query = query
                .bind(claim.tenant.as_str())
                .bind(&claim.key_hash[..])
                .bind(claim.event.uuid())
                .bind(&claim.content_hash[..])
                .bind(claim.expires_at.as_micros());
        }
        query.execute(&mut *tx).await?;
    }
    Ok(())
}
