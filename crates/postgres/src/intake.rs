//! Intake: tenants' heads, subscriptions, idempotency keys, events with their deliveries.

pub(crate) mod accept;
mod claims;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::endpoint::{EndpointOptions, Subscriber};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::{Accepted, Claim, Claimed, Fanout, Intake, StoreError, Subscriptions};
use whimbrel_core::tenant::{TenantHead, TenantId};

use crate::fault::{Fault, is_missing_partition};
use crate::open::PostgresStore;
use crate::rows::{all, contract, endpoint_status, event_type, json, patterns, tenant_id};

#[async_trait]
impl Intake for PostgresStore {
    async fn tenant_heads(&self, ids: &[TenantId]) -> Result<Vec<TenantHead>, StoreError> {
        let ids: Vec<&str> = ids.iter().map(TenantId::as_str).collect();
        let rows = sqlx::query("SELECT id, contract, limits::text, endpoints_version FROM tenants WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.keyed)
            .await
            .map_err(Fault::from)?;
        Ok(all(&rows, |row| {
            Ok(TenantHead {
                id: tenant_id(row.try_get(0)?)?,
                contract: contract(row.try_get(1)?)?,
                limits: json(row.try_get(2)?)?,
                endpoints_version: row.try_get(3)?,
            })
        })?)
    }

    async fn subscriptions(&self, tenant: &TenantId) -> Result<Subscriptions, StoreError> {
        // One statement, so one snapshot: the version belongs to these very rows.
        let rows = sqlx::query(
            "SELECT t.endpoints_version, e.status, e.suspend_reason, e.suspended_since, e.id, e.events, e.version,
                    e.options::text, NULL, NULL
             FROM tenants t LEFT JOIN endpoints e ON e.tenant_id = t.id WHERE t.id = $1
             UNION ALL
             SELECT t.endpoints_version, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.event_type, s.schema
             FROM tenants t JOIN event_types s ON s.tenant_id = t.id WHERE t.id = $1 AND s.schema IS NOT NULL",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(subscriptions(&rows)?)
    }

    async fn claim(&self, claims: &[Claim], now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        Ok(self.claim_keys(claims, now).await?)
    }

    async fn accept_as_of(
        &self,
        versions: &[(TenantId, i64)],
        batch: &[Fanout],
    ) -> Result<Option<Vec<Accepted>>, StoreError> {
        match self.try_accept(versions, batch).await {
            Err(Fault::Sql(error)) if is_missing_partition(&error) => {
                self.ensure_days(batch.iter().map(|fanout| fanout.event.id.created_at())).await?;
                Ok(self.try_accept(versions, batch).await?)
            }
            answer => Ok(answer?),
        }
    }
}

/// Rows of endpoints and rows of event types, told apart by which of the two ids they have.
fn subscriptions(rows: &[PgRow]) -> Result<Subscriptions, Fault> {
    let mut found = Subscriptions::default();
    for row in rows {
        found.version = row.try_get(0)?;
        if let Some(id) = row.try_get::<Option<Uuid>, _>(4)? {
            found.subscribers.push(subscriber(id, row)?);
        }
        if let Some(named) = row.try_get::<Option<&str>, _>(8)? {
            found.schemas.push((event_type(named)?, row.try_get(9)?));
        }
    }
    found.subscribers.sort_unstable_by_key(|subscriber| subscriber.id);
    found.schemas.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn subscriber(id: Uuid, row: &PgRow) -> Result<Subscriber, Fault> {
    let options: EndpointOptions = json(row.try_get(7)?)?;
    Ok(Subscriber {
        id: EndpointId::from_uuid(id),
        events: patterns(&row.try_get::<Vec<String>, _>(5)?)?,
        status: endpoint_status(row, 1)?,
        version: row.try_get(6)?,
        filter: options.filter,
    })
}
