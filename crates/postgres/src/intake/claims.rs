//! Idempotency keys.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;
use whimbrel_core::port::{Claim, Claimed};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{hash, tenant_id};

/// Whose key, and its hash.
type Key = (TenantId, [u8; 32]);

/// Which event has a key, and the hash of its content.
type Held = (EventId, [u8; 32]);

fn key(claim: &Claim) -> Key {
    (claim.tenant.clone(), claim.key_hash)
}

impl PostgresStore {
    /// Takes the keys that are free, and answers in the order of `claims`. One statement, its own transaction, when all
    /// are. Keys that were taken stay so if looking at the others fails: the next try meets them as its own repeats.
    pub(super) async fn claim_keys(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, Fault> {
        // In key order, so that two claimers of the same keys wait for each other and do not deadlock.
        let mut distinct: Vec<&Claim> = claims.iter().collect();
        distinct.sort_by(|a, b| (&a.tenant, a.key_hash).cmp(&(&b.tenant, b.key_hash)));
        distinct.dedup_by(|later, first| (&later.tenant, later.key_hash) == (&first.tenant, first.key_hash));
        let fresh = take(&self.keyed, &distinct, now).await?;
        distinct.retain(|claim| !fresh.contains(&key(claim)));
        answers(claims, &distinct, held(&self.pool, &distinct).await?)
    }
}

/// `known` says who has the keys that others had `taken`.
fn answers(claims: &[Claim], taken: &[&Claim], mut known: HashMap<Key, Held>) -> Result<Vec<Claimed>, Fault> {
    if known.len() < taken.len() {
        return Err(Fault::Race("an idempotency key went away while it was claimed"));
    }
    let answer = |claim: &Claim| match known.get(&key(claim)) {
        Some((event, content)) if *content == claim.content_hash => Claimed::Repeat(*event),
        Some(_) => Claimed::Conflict,
        None => {
            known.insert(key(claim), (claim.event, claim.content_hash));
            Claimed::Fresh
        }
    };
    Ok(claims.iter().map(answer).collect())
}

/// The keys that were free, or had expired.
async fn take(pool: &PgPool, claims: &[&Claim], now: Timestamp) -> Result<HashSet<Key>, Fault> {
    let rows = sqlx::query(
        "INSERT INTO idempotency_keys AS k (tenant_id, key_hash, content_hash, event_id, expires_at)
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::timestamptz[])
         ON CONFLICT (tenant_id, key_hash) DO UPDATE
         SET content_hash = excluded.content_hash, event_id = excluded.event_id, expires_at = excluded.expires_at
         WHERE k.expires_at <= $6 RETURNING tenant_id, key_hash",
    )
    .bind(claims.iter().map(|claim| claim.tenant.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.key_hash.as_slice()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.content_hash.as_slice()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.event.uuid()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.expires_at.into()).collect::<Vec<OffsetDateTime>>())
    .bind(OffsetDateTime::from(now))
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored_key).collect()
}

async fn held(pool: &PgPool, claims: &[&Claim]) -> Result<HashMap<Key, Held>, Fault> {
    if claims.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT k.tenant_id, k.key_hash, k.event_id, k.content_hash FROM idempotency_keys k
         JOIN unnest($1::text[], $2::bytea[]) AS c (tenant_id, key_hash) USING (tenant_id, key_hash)",
    )
    .bind(claims.iter().map(|claim| claim.tenant.as_str()).collect::<Vec<_>>())
    .bind(claims.iter().map(|claim| claim.key_hash.as_slice()).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| Ok((stored_key(row)?, (EventId::from_uuid(row.try_get(2)?), hash(row, 3)?)))).collect()
}

fn stored_key(row: &PgRow) -> Result<Key, Fault> {
    Ok((tenant_id(row.try_get(0)?)?, hash(row, 1)?))
}
