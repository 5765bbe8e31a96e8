//! The endpoints' side of a decision.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use sqlx::Row as _;
use uuid::Uuid;
use whimbrel_core::id::EndpointId;
use whimbrel_core::outcome::Outcome;
use whimbrel_core::port::EndpointFacts;

use crate::fault::Fault;
use crate::rows::{all, endpoint_status, health, maybe_at, options, tenant_id};

/// Those whose row stays as it is: active, of clean health, and the batch has nothing but successes of theirs. They are
/// only read.
pub(super) async fn clean(
    connection: &mut PgConnection,
    outcomes: &[Outcome],
) -> Result<HashMap<EndpointId, EndpointFacts>, Fault> {
    let mut ids: HashSet<Uuid> = outcomes.iter().map(|outcome| outcome.endpoint.uuid()).collect();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_success()) {
        ids.remove(&outcome.endpoint.uuid());
    }
    let mut found = read(connection, SELECT, ids.into_iter().collect()).await?;
    found.retain(|_, endpoint| endpoint.status.is_active() && endpoint.health.consecutive_failures == 0);
    Ok(found)
}

/// Locks the others, whose row may be written or must not change meanwhile, and gives all.
pub(super) async fn with_locked(
    connection: &mut PgConnection,
    outcomes: &[Outcome],
    clean: HashMap<EndpointId, EndpointFacts>,
) -> Result<HashMap<EndpointId, EndpointFacts>, Fault> {
    let ids = outcomes.iter().map(|outcome| outcome.endpoint).filter(|endpoint| !clean.contains_key(endpoint));
    let others: HashSet<Uuid> = ids.map(EndpointId::uuid).collect();
    let mut all = clean;
    all.extend(read(connection, LOCK, others.into_iter().collect()).await?);
    Ok(all)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, tenant_id, status, suspend_reason, suspended_since, consecutive_failures, failing_since,
                    activated_at, version, (options - 'filter')::text FROM endpoints WHERE id = ANY($1)",
            $rest
        )
    };
}

const SELECT: &str = select!("");
const LOCK: &str = select!(" ORDER BY id FOR UPDATE");

async fn read(
    connection: &mut PgConnection,
    sql: &'static str,
    ids: Vec<Uuid>,
) -> Result<HashMap<EndpointId, EndpointFacts>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(sql).bind(ids).fetch_all(connection).await?;
    let facts = all(&rows, |row| {
        let facts = EndpointFacts {
            tenant: tenant_id(row.try_get(1)?)?,
            status: endpoint_status(row, 2)?,
            health: health(row, 5)?,
            activated_at: maybe_at(row, 7)?,
            version: row.try_get(8)?,
            retry_delays: options(row, 9)?.retry_delays,
        };
        Ok((EndpointId::from_uuid(row.try_get(0)?), facts))
    })?;
    Ok(facts.into_iter().collect())
}
