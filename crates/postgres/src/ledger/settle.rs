//! One batch of outcomes: lock, record, decide, write, commit. Six round trips where all went well (begin,
//! deliveries, attempts, endpoints, states, commit), and one more per kind of trouble.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::delivery::{Attempt, Delivery};
use whimbrel_core::id::{DeliveryId, EndpointId, ExecutionId};
use whimbrel_core::judge::Seen;
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{Decide, Decision, EndpointFacts, Facts};

use super::write;
use crate::fault::{Fault, is_repeat};
use crate::open::PostgresStore;
use crate::rows::{all, bounds, delivery, endpoint_status, health, int, maybe_at, options, stored_status, tenant_id};

type Key = (DeliveryId, u32);

impl PostgresStore {
    pub(super) async fn settle_batch(&self, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, Fault> {
        if self.new_attempts.is_given() {
            match self.settle_with(Insert::New, outcomes, decide).await {
                Err(fault) if is_repeat(&fault) => self.new_attempts.betray(),
                answer => return answer,
            }
        }
        self.settle_with(Insert::Missing, outcomes, decide).await
    }

    /// Nothing is decided before the attempts are in.
    async fn settle_with(&self, insert: Insert, outcomes: &[Outcome], decide: Decide<'_>) -> Result<Decision, Fault> {
        let mut transaction = self.keyed.begin().await?;
        let deliveries = lock_deliveries(&mut transaction, outcomes).await?;
        let seen = record(&mut transaction, insert, outcomes, &deliveries).await?;
        let endpoints = read_endpoints(&mut transaction, outcomes).await?;
        let facts = Facts { deliveries, endpoints, seen };
        let decision = decide(&facts);
        write::deliveries(&mut transaction, &decision.deliveries).await?;
        write::health(&mut transaction, &decision.health).await?;
        write::suspensions(&mut transaction, &decision.suspended).await?;
        transaction.commit().await?;
        Ok(decision)
    }
}

/// In id order, so that two trackers with the same deliveries wait for each other and do not deadlock.
async fn lock_deliveries(
    connection: &mut PgConnection,
    outcomes: &[Outcome],
) -> Result<HashMap<DeliveryId, Delivery>, Fault> {
    let ids: Vec<Uuid> = outcomes.iter().map(|outcome| outcome.delivery.uuid()).collect();
    let (low, high) = bounds(&ids);
    let rows = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3 ORDER BY id FOR UPDATE",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    Ok(all(&rows, delivery)?.into_iter().map(|delivery| (delivery.id, delivery)).collect())
}

/// Records the attempts that are new, and says how each outcome's stands to the log. The deliveries are
/// locked, so no one else records an attempt of theirs meanwhile.
async fn record(
    connection: &mut PgConnection,
    insert: Insert,
    outcomes: &[Outcome],
    deliveries: &HashMap<DeliveryId, Delivery>,
) -> Result<Vec<Seen>, Fault> {
    let known = |outcome: &&Outcome| deliveries.contains_key(&outcome.delivery);
    let mut first: Vec<Attempt> = Vec::new();
    let mut keys: HashSet<Key> = HashSet::new();
    for row in outcomes.iter().filter(known).filter_map(Outcome::attempt_row) {
        if keys.insert((row.delivery, row.number)) {
            first.push(row);
        }
    }
    let missed = insert.rows(connection, &first).await?;
    let stored = executions(connection, &missed).await?;
    let mut taken: HashMap<Key, ExecutionId> = stored;
    let mut duplicates: Vec<Key> = Vec::new();
    let mut seen = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        let row = outcome.attempt_row().filter(|row| deliveries.contains_key(&row.delivery));
        let Some(row) = row else {
            seen.push(Seen::New);
            continue;
        };
        let key = (row.delivery, row.number);
        seen.push(match taken.get(&key) {
            None => {
                taken.insert(key, row.execution);
                Seen::New
            }
            Some(execution) if *execution == row.execution => Seen::SameExecution,
            Some(_) => {
                duplicates.push(key);
                Seen::OtherExecution
            }
        });
    }
    write::duplicates(connection, &duplicates).await?;
    Ok(seen)
}

/// How attempts are inserted.
#[derive(Clone, Copy)]
enum Insert {
    /// Fails when one is there.
    New,
    /// Those that are not there.
    Missing,
}

impl Insert {
    /// Gives those that were there.
    async fn rows<'a>(self, connection: &mut PgConnection, rows: &'a [Attempt]) -> Result<Vec<&'a Attempt>, Fault> {
        if let Self::New = self {
            if !rows.is_empty() {
                attempts(INSERT_NEW_ATTEMPTS, rows).execute(connection).await?;
            }
            return Ok(Vec::new());
        }
        let inserted = insert_attempts(connection, rows).await?;
        Ok(rows.iter().filter(|row| !inserted.contains(&(row.delivery, row.number))).collect())
    }
}

macro_rules! insert_attempts {
    ($rest:literal) => {
        concat!(
            "INSERT INTO attempts (delivery_id, number, round, execution_id, started_at, duration_ms, status_code, error,
                                   response_body)
             SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::uuid[], $5::timestamptz[], $6::int[],
                                  $7::smallint[], $8::text[], $9::bytea[])",
            $rest
        )
    };
}

const INSERT_NEW_ATTEMPTS: &str = insert_attempts!("");
const INSERT_ATTEMPTS: &str =
    insert_attempts!(" ON CONFLICT (delivery_id, number) DO NOTHING RETURNING delivery_id, number");

/// Gives those that were not there.
pub(crate) async fn insert_attempts(connection: &mut PgConnection, rows: &[Attempt]) -> Result<HashSet<Key>, Fault> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let inserted = attempts(INSERT_ATTEMPTS, rows).fetch_all(connection).await?;
    inserted.iter().map(|row| Ok((DeliveryId::from_uuid(row.try_get(0)?), number(row.try_get(1)?)))).collect()
}

fn attempts<'q>(sql: &'static str, rows: &'q [Attempt]) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql)
        .bind(rows.iter().map(|row| row.delivery.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| int(row.number)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| int(row.round)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.execution.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.started_at.into()).collect::<Vec<OffsetDateTime>>())
        .bind(rows.iter().map(|row| int(row.duration_ms)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| stored_status(row.status_code)).collect::<Vec<Option<i16>>>())
        .bind(rows.iter().map(|row| row.error.as_deref()).collect::<Vec<Option<&str>>>())
        .bind(rows.iter().map(|row| row.response_body.as_ref()).collect::<Vec<&[u8]>>())
}

fn number(stored: i32) -> u32 {
    u32::try_from(stored).unwrap_or(0)
}

/// The POSTs recorded under these numbers.
async fn executions(connection: &mut PgConnection, rows: &[&Attempt]) -> Result<HashMap<Key, ExecutionId>, Fault> {
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.delivery.uuid()).collect();
    let (low, high) = bounds(&ids);
    let stored = sqlx::query(
        "SELECT a.delivery_id, a.number, a.execution_id FROM attempts a
         JOIN unnest($1::uuid[], $2::int[]) AS k (delivery_id, number) USING (delivery_id, number)
         WHERE a.delivery_id = ANY($1) AND a.delivery_id BETWEEN $3 AND $4",
    )
    .bind(ids)
    .bind(rows.iter().map(|row| int(row.number)).collect::<Vec<_>>())
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    stored
        .iter()
        .map(|row| {
            let key = (DeliveryId::from_uuid(row.try_get(0)?), number(row.try_get(1)?));
            Ok((key, ExecutionId::from_uuid(row.try_get(2)?)))
        })
        .collect()
}

/// Locks the endpoints whose row may be written or must not change meanwhile: those with a failure or a hold
/// in the batch, and those whose health is not clean. Healthy ones are only read.
async fn read_endpoints(
    connection: &mut PgConnection,
    outcomes: &[Outcome],
) -> Result<HashMap<EndpointId, EndpointFacts>, Fault> {
    let is_success = |outcome: &Outcome| matches!(&outcome.fate, Fate::Attempted(attempted) if attempted.is_success());
    let all: HashSet<Uuid> = outcomes.iter().map(|outcome| outcome.endpoint.uuid()).collect();
    let mut lock: HashSet<Uuid> =
        outcomes.iter().filter(|outcome| !is_success(outcome)).map(|outcome| outcome.endpoint.uuid()).collect();
    let rest: Vec<Uuid> = all.difference(&lock).copied().collect();
    let mut facts = HashMap::with_capacity(all.len());
    if !rest.is_empty() {
        for (id, endpoint) in endpoints(connection, SELECT_ENDPOINTS, &rest).await? {
            let clean = endpoint.status.is_active() && endpoint.health.consecutive_failures == 0;
            if clean {
                facts.insert(id, endpoint);
            } else {
                lock.insert(id.uuid());
            }
        }
    }
    if !lock.is_empty() {
        let locked: Vec<Uuid> = lock.into_iter().collect();
        facts.extend(endpoints(connection, LOCK_ENDPOINTS, &locked).await?);
    }
    Ok(facts)
}

const SELECT_ENDPOINTS: &str = "SELECT id, tenant_id, status, suspend_reason, suspended_since, consecutive_failures,
    failing_since, activated_at, version, (options - 'filter')::text FROM endpoints WHERE id = ANY($1)";
const LOCK_ENDPOINTS: &str = "SELECT id, tenant_id, status, suspend_reason, suspended_since, consecutive_failures,
    failing_since, activated_at, version, (options - 'filter')::text FROM endpoints WHERE id = ANY($1)
    ORDER BY id FOR UPDATE";

async fn endpoints(
    connection: &mut PgConnection,
    sql: &'static str,
    ids: &[Uuid],
) -> Result<Vec<(EndpointId, EndpointFacts)>, Fault> {
    let rows = sqlx::query(sql).bind(ids).fetch_all(connection).await?;
    all(&rows, |row| {
        let facts = EndpointFacts {
            tenant: tenant_id(row.try_get(1)?)?,
            status: endpoint_status(row, 2)?,
            health: health(row, 5)?,
            activated_at: maybe_at(row, 7)?,
            version: row.try_get(8)?,
            retry_delays: options(row, 9)?.retry_delays,
        };
        Ok((EndpointId::from_uuid(row.try_get(0)?), facts))
    })
}
