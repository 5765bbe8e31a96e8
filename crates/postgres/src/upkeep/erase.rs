//! Erasing a tenant's payloads, some events at a time.

use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::EventId;

use crate::erase::erase;
use crate::fault::Fault;
use crate::open::PostgresStore;

/// A tenant's request, as it stood when it was read.
struct Request {
    tenant: String,
    before: OffsetDateTime,
    after: Option<Uuid>,
}

impl PostgresStore {
    /// Ends requests that have nothing left; the first that has is one step further.
    pub(super) async fn erase_some(&self, limit: u32) -> Result<u64, Fault> {
        loop {
            let mut transaction = self.duties.begin().await?;
            let Some(request) = next_request(&mut transaction).await? else { return Ok(0) };
            let events = next_events(&mut transaction, &request, limit).await?;
            if !events.is_empty() {
                erase(&mut transaction, &events).await?;
            }
            // Last: whoever settles locks deliveries before tenants, too.
            note(&mut transaction, &request, events.last()).await?;
            transaction.commit().await?;
            if !events.is_empty() {
                return Ok(events.len() as u64);
            }
        }
    }
}

async fn next_request(connection: &mut PgConnection) -> Result<Option<Request>, Fault> {
    let row = sqlx::query(
        "SELECT id, erase_before, erase_after FROM tenants WHERE erase_before IS NOT NULL ORDER BY id LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(Request { tenant: row.try_get(0)?, before: row.try_get(1)?, after: row.try_get(2)? })).transpose()
}

async fn next_events(connection: &mut PgConnection, request: &Request, limit: u32) -> Result<Vec<EventId>, Fault> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM events WHERE tenant_id = $1 AND id > $2 AND id < $3 AND octet_length(body) > 0
         ORDER BY id LIMIT $4",
    )
    .bind(&request.tenant)
    .bind(request.after.unwrap_or(Uuid::nil()))
    .bind(EventId::first_at(Timestamp::from(request.before)).uuid())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(EventId::from_uuid).collect())
}

/// How far it is, or that it is over; a request that was made anew meanwhile stays.
async fn note(connection: &mut PgConnection, request: &Request, last: Option<&EventId>) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE tenants SET erase_after = $4, erase_before = CASE WHEN $4::uuid IS NOT NULL THEN erase_before END
         WHERE id = $1 AND erase_before = $2 AND erase_after IS NOT DISTINCT FROM $3",
    )
    .bind(&request.tenant)
    .bind(request.before)
    .bind(request.after)
    .bind(last.map(|event| event.uuid()))
    .execute(connection)
    .await?;
    Ok(())
}
