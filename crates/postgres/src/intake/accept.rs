//! Events with their deliveries.

use std::collections::HashSet;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, PgPool, Postgres, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::event::Event;
use whimbrel_core::id::{EndpointId, EventId};
use whimbrel_core::port::{Accepted, Fanout};
use whimbrel_core::tenant::TenantId;

use crate::fault::{Fault, is_repeat};
use crate::open::PostgresStore;
use crate::rows::{all, delivery};

/// Takes ten arrays, `$1` to `$10`.
macro_rules! insert_events {
    () => {
        "INSERT INTO events (id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent,
                             tracestate, only_endpoint)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[], $6::int[],
                              $7::int[], $8::text[], $9::text[], $10::uuid[])"
    };
}

/// Takes seven more. Deliveries are made pending or held, with their first attempt to come.
macro_rules! insert_deliveries {
    () => {
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, sweep_at, round, first_attempt,
                                 attempt)
         SELECT d.*, 1, 1, 1
         FROM unnest($11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::text[], $16::text[], $17::timestamptz[])
              AS d (id, event_id)"
    };
}

/// One row if all of these tenants are at these versions. Takes two arrays more. A join would be quicker only for hundreds of
/// tenants.
macro_rules! unchanged {
    () => {
        "WITH unchanged AS (
             SELECT 1 FROM tenants
             WHERE id = ANY($18::text[]) AND endpoints_version = ($19::bigint[])[array_position($18, id)]
             HAVING count(*) = cardinality($18))"
    };
}

/// Events with their deliveries; fails when one is there, and stores none if a tenant has changed.
const ACCEPT_NEW: &str = concat!(
    unchanged!(),
    ", made AS (",
    insert_deliveries!(),
    " WHERE EXISTS (SELECT FROM unchanged)) ",
    insert_events!(),
    " WHERE EXISTS (SELECT FROM unchanged)"
);

/// Gives the ids of those that were inserted.
const INSERT_EVENTS: &str = concat!(insert_events!(), " ON CONFLICT (id) DO NOTHING RETURNING id");

/// Events that are not there, with their deliveries. Gives the ids of those events, NULL if there are none, and no row
/// at all if a tenant has changed.
const ACCEPT: &str = concat!(
    unchanged!(),
    ", fresh AS (",
    insert_events!(),
    " WHERE EXISTS (SELECT FROM unchanged) ON CONFLICT (id) DO NOTHING RETURNING id), made AS (",
    insert_deliveries!(),
    " WHERE d.event_id IN (SELECT id FROM fresh) ON CONFLICT (id) DO NOTHING)
     SELECT fresh.id FROM unchanged LEFT JOIN fresh ON true"
);

impl PostgresStore {
    /// One statement, which is its own transaction: one round trip between an event and its jobs.
    pub(super) async fn try_accept(
        &self,
        versions: &[(TenantId, i64)],
        batch: &[Fanout],
    ) -> Result<Option<Vec<Accepted>>, Fault> {
        let Some(mut fresh) = self.insert_batch(versions, batch).await? else { return Ok(None) };
        let mut answers = Vec::with_capacity(batch.len());
        for fanout in batch {
            // An event that stands twice in the batch is fresh the first time only.
            let repeated = !fresh.remove(&fanout.event.id.uuid());
            let pending = if repeated { still_pending(&self.keyed, fanout.event.id).await? } else { pending(fanout) };
            answers.push(Accepted { repeated, pending });
        }
        Ok(Some(answers))
    }

    /// Events, and the deliveries of those that were not there, whose ids it gives. `None` if a tenant has changed.
    async fn insert_batch(
        &self,
        versions: &[(TenantId, i64)],
        batch: &[Fanout],
    ) -> Result<Option<HashSet<Uuid>>, Fault> {
        if batch.is_empty() {
            return Ok(Some(HashSet::new()));
        }
        if self.new_events.is_given() {
            match accept(ACCEPT_NEW, versions, batch).execute(&self.keyed).await.map_err(Fault::from) {
                Ok(done) if done.rows_affected() == 0 => return Ok(None),
                Ok(_) => return Ok(Some(batch.iter().map(|fanout| fanout.event.id.uuid()).collect())),
                Err(fault) if is_repeat(&fault) => self.new_events.betray(),
                Err(fault) => return Err(fault),
            }
        }
        let rows = accept(ACCEPT, versions, batch).fetch_all(&self.keyed).await?;
        Ok(if rows.is_empty() { None } else { Some(ids(&rows)?) })
    }
}

fn pending(fanout: &Fanout) -> Vec<Delivery> {
    let is_pending = |delivery: &&Delivery| delivery.state == DeliveryState::Pending;
    fanout.deliveries.iter().filter(is_pending).copied().collect()
}

/// Events without deliveries; gives the ids of those that were not there.
pub(crate) async fn insert_events(
    connection: &mut PgConnection,
    batch: impl Iterator<Item = &Event>,
) -> Result<HashSet<Uuid>, Fault> {
    ids(&bind_events(sqlx::query(INSERT_EVENTS), batch).fetch_all(connection).await?)
}

/// Without the NULL that stands for none.
fn ids(rows: &[PgRow]) -> Result<HashSet<Uuid>, Fault> {
    rows.iter().filter_map(|row| row.try_get(0).map_err(Fault::from).transpose()).collect()
}

fn accept<'q>(sql: &'static str, versions: &'q [(TenantId, i64)], batch: &'q [Fanout]) -> Arrays<'q> {
    let query = bind_events(sqlx::query(sql), batch.iter().map(|fanout| &fanout.event));
    let deliveries = batch.iter().flat_map(|fanout| fanout.deliveries.iter().map(move |delivery| (fanout, delivery)));
    bind_deliveries(query, &deliveries.collect::<Vec<_>>())
        .bind(versions.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>())
        .bind(versions.iter().map(|(_, version)| *version).collect::<Vec<_>>())
}

type Arrays<'q> = Query<'q, Postgres, PgArguments>;

/// In id order, so that two batches with the same events wait for each other and do not deadlock.
fn bind_events<'q>(query: Arrays<'q>, batch: impl Iterator<Item = &'q Event>) -> Arrays<'q> {
    let mut sorted: Vec<&'q Event> = batch.collect();
    sorted.sort_unstable_by_key(|event| event.id);
    let events = || sorted.iter().copied();
    query
        .bind(events().map(|event| event.id.uuid()).collect::<Vec<_>>())
        .bind(events().map(|event| event.tenant.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.occurred_at.into()).collect::<Vec<OffsetDateTime>>())
        .bind(events().map(|event| event.body.as_ref()).collect::<Vec<&[u8]>>())
        .bind(events().map(|event| offset(event.data_range.start)).collect::<Vec<_>>())
        .bind(events().map(|event| offset(event.data_range.end)).collect::<Vec<_>>())
        .bind(events().map(|event| event.trace.traceparent.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.trace.tracestate.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.only_endpoint.map(EndpointId::uuid)).collect::<Vec<Option<Uuid>>>())
}

fn offset(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

fn bind_deliveries<'q>(query: Arrays<'q>, rows: &[(&'q Fanout, &Delivery)]) -> Arrays<'q> {
    let sweep = |fanout: &Fanout, delivery: &Delivery| -> Option<OffsetDateTime> {
        matches!(delivery.state, DeliveryState::Pending).then(|| fanout.sweep_at.into())
    };
    query
        .bind(rows.iter().map(|(_, delivery)| delivery.id.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, delivery)| delivery.event.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, delivery)| delivery.endpoint.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(fanout, _)| fanout.event.tenant.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(fanout, _)| fanout.event.event_type.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, delivery)| delivery.state.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(fanout, delivery)| sweep(fanout, delivery)).collect::<Vec<Option<OffsetDateTime>>>())
}

/// A repeated event's deliveries that still await their first attempt (rule 21).
async fn still_pending(pool: &PgPool, event: EventId) -> Result<Vec<Delivery>, Fault> {
    let rows = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id BETWEEN $1 AND $2 AND event_id = $3 AND state = 'pending' AND attempt = 1 ORDER BY id",
    )
    .bind(event.delivery_range().0)
    .bind(event.delivery_range().1)
    .bind(event.uuid())
    .fetch_all(pool)
    .await?;
    all(&rows, delivery)
}
