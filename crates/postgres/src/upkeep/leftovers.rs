//! What is not partitioned by day and goes with age.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::id::AuditId;

use crate::fault::Fault;

/// Rows of one table in one step.
const CHUNK: u64 = 5_000;
/// How long the audit log goes back.
const AUDIT_KEPT: Duration = Duration::from_hours(365 * 24);

/// Deletes a chunk of each; says whether there may be more.
pub(super) async fn delete(pool: &PgPool, before: Timestamp, now: Timestamp) -> Result<bool, Fault> {
    let deletions = [
        sqlx::query(
            "WITH old AS (
                 SELECT tenant_id, key_hash FROM idempotency_keys WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
                 FOR UPDATE SKIP LOCKED
             )
             DELETE FROM idempotency_keys k USING old WHERE k.tenant_id = old.tenant_id AND k.key_hash = old.key_hash",
        )
        .bind(OffsetDateTime::from(now)),
        sqlx::query(
            "WITH old AS (SELECT id FROM replays WHERE finished_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM replays r USING old WHERE r.id = old.id",
        )
        .bind(OffsetDateTime::from(before)),
        sqlx::query(
            "WITH old AS (SELECT id FROM audit_log WHERE id < $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM audit_log a USING old WHERE a.id = old.id",
        )
        .bind(AuditId::generate(now.before(AUDIT_KEPT), [0; 10]).uuid()),
    ];
    let mut more = false;
    for deletion in deletions {
        let gone = deletion.bind(CHUNK.cast_signed()).execute(pool).await?.rows_affected();
        more |= gone == CHUNK;
    }
    Ok(more)
}
