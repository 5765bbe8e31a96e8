//! Replays: kept in rows, advanced step by step (rule 8).

mod advance;
mod forgotten;
mod select;
mod start;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::{DeliveryId, EndpointId, ReplayId};
use whimbrel_core::port::{Advance, Forgotten, Page, Replays, StoreError};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;
use crate::open::PostgresStore;
use crate::rows::{all, at, count, event_type, maybe_at, tenant_id};

/// What [`replay`] reads.
macro_rules! replay_columns {
    () => {
        "id, tenant_id, endpoint_id, kind, since, until, failed_only, event_types, state, total, taken, cursor,
         created_at, finished_at"
    };
}
use replay_columns;

#[async_trait]
impl Replays for PostgresStore {
    async fn start_replay(&self, replay: &Replay) -> Result<Option<Replay>, StoreError> {
        Ok(start::start(&self.pool, replay).await?)
    }

    async fn replay(&self, tenant: &TenantId, id: ReplayId) -> Result<Option<Replay>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", replay_columns!(), " FROM replays WHERE id = $1 AND tenant_id = $2"))
            .bind(id.uuid())
            .bind(tenant.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Fault::from)?;
        Ok(row.as_ref().map(replay).transpose()?)
    }

    async fn replays(
        &self,
        tenant: &TenantId,
        endpoint: Option<EndpointId>,
        page: Page<ReplayId>,
    ) -> Result<Vec<Replay>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            replay_columns!(),
            " FROM replays
              WHERE tenant_id = $1 AND ($2::uuid IS NULL OR endpoint_id = $2) AND kind <> 'deferred' AND id < $3
              ORDER BY id DESC LIMIT $4",
        ))
        .bind(tenant.as_str())
        .bind(endpoint.map(EndpointId::uuid))
        .bind(page.after.map_or(Uuid::max(), ReplayId::uuid))
        .bind(i64::from(page.limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, replay)?)
    }

    async fn cancel_replay(
        &self,
        tenant: &TenantId,
        id: ReplayId,
        now: Timestamp,
    ) -> Result<Option<Replay>, StoreError> {
        sqlx::query(
            "UPDATE replays SET state = 'cancelled', finished_at = $3
             WHERE id = $1 AND tenant_id = $2 AND state = 'running'",
        )
        .bind(id.uuid())
        .bind(tenant.as_str())
        .bind(OffsetDateTime::from(now))
        .execute(&self.pool)
        .await
        .map_err(Fault::from)?;
        self.replay(tenant, id).await
    }

    async fn running_replays(&self, page: Page<ReplayId>) -> Result<Vec<Replay>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            replay_columns!(),
            " FROM replays WHERE state = 'running' AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2",
        ))
        .bind(page.after.map(ReplayId::uuid))
        .bind(i64::from(page.limit))
        .fetch_all(&self.duties)
        .await
        .map_err(Fault::from)?;
        Ok(all(&rows, replay)?)
    }

    async fn advance_replay(
        &self,
        id: ReplayId,
        window: u32,
        now: Timestamp,
        sweep_at: Timestamp,
    ) -> Result<Advance, StoreError> {
        let mut transaction = self.keyed.begin().await.map_err(Fault::from)?;
        let advance = advance::advance(&mut transaction, id, window, now, sweep_at).await?;
        transaction.commit().await.map_err(Fault::from)?;
        Ok(advance)
    }

    async fn forgotten(&self, limit: u32) -> Result<Vec<Forgotten>, StoreError> {
        Ok(forgotten::forgotten(&self.duties, limit).await?)
    }
}

/// Reads `replay_columns`.
fn replay(row: &PgRow) -> Result<Replay, Fault> {
    let (kind, state): (&str, &str) = (row.try_get(3)?, row.try_get(8)?);
    let unknown = |word: &str| Fault::Row(format!("`{word}` is no kind or state of a replay"));
    let types: Vec<String> = row.try_get(7)?;
    Ok(Replay {
        id: ReplayId::from_uuid(row.try_get(0)?),
        tenant: tenant_id(row.try_get(1)?)?,
        endpoint: EndpointId::from_uuid(row.try_get(2)?),
        kind: ReplayKind::parse(kind).ok_or_else(|| unknown(kind))?,
        filter: ReplayFilter {
            since: maybe_at(row, 4)?,
            until: maybe_at(row, 5)?,
            failed_only: row.try_get(6)?,
            event_types: types.iter().map(|text| event_type(text)).collect::<Result<_, _>>()?,
        },
        state: ReplayState::parse(state).ok_or_else(|| unknown(state))?,
        total: count(row, 9)?,
        taken: count(row, 10)?,
        cursor: row.try_get::<Option<Uuid>, _>(11)?.map(DeliveryId::from_uuid),
        created_at: at(row, 12)?,
        finished_at: maybe_at(row, 13)?,
    })
}
