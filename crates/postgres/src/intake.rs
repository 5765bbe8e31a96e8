//! Intake: tenants' heads, subscriptions, idempotency keys, events with their deliveries.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::endpoint::Subscriber;
use whimbrel_core::id::{EndpointId, EventId};
use whimbrel_core::port::{Accepted, Claim, Claimed, Fanout, Intake, StoreError};
use whimbrel_core::tenant::{TenantHead, TenantId};
use whimbrel_core::{DeliveryId, Timestamp};

use crate::fault::{Fault, is_missing_partition};
use crate::open::PostgresStore;
use crate::rows::{all, bounds, contract, delivery, endpoint_status, int, state_columns, tenant_id};

#[async_trait]
impl Intake for PostgresStore {
    async fn tenant_heads(&self, ids: &[TenantId]) -> Result<Vec<TenantHead>, StoreError> {
        let ids: Vec<&str> = ids.iter().map(TenantId::as_str).collect();
        let rows = sqlx::query("SELECT id, contract, endpoints_version FROM tenants WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(all(&rows, |row| {
            Ok(TenantHead {
                id: tenant_id(row.try_get(0)?)?,
                contract: contract(row.try_get(1)?)?,
                endpoints_version: row.try_get(2)?,
            })
        })?)
    }

    async fn subscribers(&self, tenant: &TenantId) -> Result<(i64, Vec<Subscriber>), StoreError> {
        // One statement, so one snapshot: the version belongs to these very rows.
        let rows = sqlx::query(
            "SELECT t.endpoints_version, e.status, e.suspend_reason, e.suspended_since, e.id, e.events, e.version
             FROM tenants t LEFT JOIN endpoints e ON e.tenant_id = t.id WHERE t.id = $1 ORDER BY e.id",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        let Some(first) = rows.first() else { return Ok((0, Vec::new())) };
        let version = first.try_get(0).map_err(Fault::from)?;
        let mut subscribers = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(id) = row.try_get::<Option<Uuid>, _>(4).map_err(Fault::from)? {
                subscribers.push(subscriber(id, row)?);
            }
        }
        Ok((version, subscribers))
    }

    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(Fault::from)?;
        let held = hold(&mut transaction, claims, now).await?;
        transaction.commit().await.map_err(Fault::from)?;
        let mut used: HashSet<(&TenantId, [u8; 32])> = HashSet::new();
        let answers = claims.iter().map(|claim| {
            let key = (&claim.tenant, claim.key_hash);
            let Some((event, content)) = held.get(&(claim.tenant.as_str().to_owned(), claim.key_hash)) else {
                return Err(Fault::Row("a claimed idempotency key is not there".into()));
            };
            Ok(match (*event == claim.event.uuid() && used.insert(key), *content == claim.content_hash) {
                (true, true) => Claimed::Fresh,
                (_, true) => Claimed::Repeat(EventId::from_uuid(*event)),
                (_, false) => Claimed::Conflict,
            })
        });
        Ok(answers.collect::<Result<_, Fault>>()?)
    }

    async fn accept(&self, batch: &[Fanout]) -> Result<Vec<Accepted>, StoreError> {
        match self.try_accept(batch).await {
            Err(Fault::Sql(error)) if is_missing_partition(&error) => {
                let times = || batch.iter().map(|fanout| fanout.event.id.created_at());
                if let (Some(first), Some(last)) = (times().min(), times().max()) {
                    self.ensure_days(first, last).await?;
                }
                Ok(self.try_accept(batch).await?)
            }
            answer => Ok(answer?),
        }
    }
}

fn subscriber(id: Uuid, row: &sqlx::postgres::PgRow) -> Result<Subscriber, Fault> {
    Ok(Subscriber {
        id: EndpointId::from_uuid(id),
        events: patterns(&row.try_get::<Vec<String>, _>(5)?)?,
        status: endpoint_status(row, 1)?,
        version: row.try_get(6)?,
    })
}

pub(crate) fn patterns(texts: &[String]) -> Result<Vec<whimbrel_core::subscription::Pattern>, Fault> {
    texts.iter().map(|text| text.parse().map_err(|error| Fault::Row(format!("{error}")))).collect()
}

/// Who holds each key after this: those of `claims` that were free, in their order, and who had them before.
async fn hold(
    connection: &mut PgConnection,
    claims: &[Claim],
    now: Timestamp,
) -> Result<HashMap<(String, [u8; 32]), (Uuid, [u8; 32])>, Fault> {
    // In key order, so that two claimers of the same keys wait for each other and do not deadlock.
    let mut sorted: Vec<&Claim> = claims.iter().collect();
    sorted.sort_by(|a, b| (&a.tenant, a.key_hash).cmp(&(&b.tenant, b.key_hash)));
    let mut first: Vec<&Claim> = Vec::with_capacity(sorted.len());
    for claim in sorted {
        if first.last().is_none_or(|last| (&last.tenant, last.key_hash) != (&claim.tenant, claim.key_hash)) {
            first.push(claim);
        }
    }
    let tenants: Vec<&str> = first.iter().map(|claim| claim.tenant.as_str()).collect();
    let keys: Vec<&[u8]> = first.iter().map(|claim| claim.key_hash.as_slice()).collect();
    sqlx::query(
        "INSERT INTO idempotency_keys AS k (tenant_id, key_hash, content_hash, event_id, expires_at)
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::uuid[], $5::timestamptz[])
         ON CONFLICT (tenant_id, key_hash) DO UPDATE
         SET content_hash = excluded.content_hash, event_id = excluded.event_id, expires_at = excluded.expires_at
         WHERE k.expires_at <= $6",
    )
    .bind(&tenants)
    .bind(&keys)
    .bind(first.iter().map(|claim| claim.content_hash.as_slice()).collect::<Vec<_>>())
    .bind(first.iter().map(|claim| claim.event.uuid()).collect::<Vec<_>>())
    .bind(first.iter().map(|claim| claim.expires_at.into()).collect::<Vec<OffsetDateTime>>())
    .bind(OffsetDateTime::from(now))
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query(
        "SELECT k.tenant_id, k.key_hash, k.event_id, k.content_hash FROM idempotency_keys k
         JOIN unnest($1::text[], $2::bytea[]) AS c (tenant_id, key_hash) USING (tenant_id, key_hash)",
    )
    .bind(&tenants)
    .bind(&keys)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, hash(row, 1)?), (row.try_get(2)?, hash(row, 3)?)))).collect()
}

pub(crate) fn hash(row: &sqlx::postgres::PgRow, column: usize) -> Result<[u8; 32], Fault> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|_| Fault::Row("a stored hash has not 32 bytes".into()))
}

impl PostgresStore {
    async fn try_accept(&self, batch: &[Fanout]) -> Result<Vec<Accepted>, Fault> {
        let mut transaction = self.pool.begin().await?;
        let fresh = insert_events(&mut transaction, batch).await?;
        let deliveries: Vec<(&Fanout, &Delivery)> = batch
            .iter()
            .filter(|fanout| fresh.contains(&fanout.event.id.uuid()))
            .flat_map(|fanout| fanout.deliveries.iter().map(move |delivery| (fanout, delivery)))
            .collect();
        insert_deliveries(&mut transaction, &deliveries).await?;
        let mut first = fresh;
        let mut answers = Vec::with_capacity(batch.len());
        for fanout in batch {
            // An event that stands twice in the batch is fresh the first time only.
            let repeated = !first.remove(&fanout.event.id.uuid());
            let pending =
                if repeated { still_pending(&mut transaction, fanout.event.id).await? } else { pending(fanout) };
            answers.push(Accepted { repeated, pending });
        }
        transaction.commit().await?;
        Ok(answers)
    }
}

fn pending(fanout: &Fanout) -> Vec<Delivery> {
    let is_pending = |delivery: &&Delivery| delivery.state == whimbrel_core::delivery::DeliveryState::Pending;
    fanout.deliveries.iter().filter(is_pending).copied().collect()
}

/// Gives the ids of those that were not there.
async fn insert_events(connection: &mut PgConnection, batch: &[Fanout]) -> Result<HashSet<Uuid>, Fault> {
    // In id order, so that two batches with the same events wait for each other and do not deadlock.
    let mut sorted: Vec<_> = batch.iter().map(|fanout| &fanout.event).collect();
    sorted.sort_unstable_by_key(|event| event.id);
    let events = || sorted.iter().copied();
    let rows = sqlx::query(
        "INSERT INTO events (id, tenant_id, event_type, occurred_at, body, data_start, data_end, traceparent, tracestate,
                             only_endpoint)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[], $6::int[], $7::int[],
                              $8::text[], $9::text[], $10::uuid[])
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
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
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn offset(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

async fn insert_deliveries(connection: &mut PgConnection, rows: &[(&Fanout, &Delivery)]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let sweep = |fanout: &Fanout, delivery: &Delivery| -> Option<OffsetDateTime> {
        matches!(delivery.state, whimbrel_core::delivery::DeliveryState::Pending).then(|| fanout.sweep_at.into())
    };
    sqlx::query(
        "INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, reason, state_at, round,
                                 first_attempt, attempt, sweep_at)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                              $8::timestamptz[], $9::int[], $10::int[], $11::int[], $12::timestamptz[])
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(rows.iter().map(|(_, delivery)| delivery.id.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| delivery.event.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| delivery.endpoint.uuid()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(fanout, _)| fanout.event.tenant.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(fanout, _)| fanout.event.event_type.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| delivery.state.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| state_columns(delivery.state).0).collect::<Vec<Option<&str>>>())
    .bind(rows.iter().map(|(_, delivery)| state_columns(delivery.state).1).collect::<Vec<Option<OffsetDateTime>>>())
    .bind(rows.iter().map(|(_, delivery)| int(delivery.round)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| int(delivery.first_attempt)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, delivery)| int(delivery.attempt)).collect::<Vec<_>>())
    .bind(rows.iter().map(|(fanout, delivery)| sweep(fanout, delivery)).collect::<Vec<Option<OffsetDateTime>>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// A repeated event's deliveries that still await their first attempt (rule 21).
async fn still_pending(connection: &mut PgConnection, event: EventId) -> Result<Vec<Delivery>, Fault> {
    let rows = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id BETWEEN $1 AND $2 AND event_id = $3 AND state = 'pending' AND attempt = 1 ORDER BY id",
    )
    .bind(event.delivery_range().0)
    .bind(event.delivery_range().1)
    .bind(event.uuid())
    .fetch_all(connection)
    .await?;
    all(&rows, delivery)
}

/// Positions of deliveries, for whoever asks.
pub(crate) async fn positions(connection: &mut PgConnection, ids: &[DeliveryId]) -> Result<Vec<Delivery>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let (low, high) = bounds(&ids);
    let rows = sqlx::query(
        "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt FROM deliveries
         WHERE id = ANY($1) AND id BETWEEN $2 AND $3",
    )
    .bind(ids)
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    all(&rows, delivery)
}
