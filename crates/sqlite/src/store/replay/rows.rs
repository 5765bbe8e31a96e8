//! How replays lie in their columns.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;
use whimbrel_core::Timestamp;
use whimbrel_core::id::{DeliveryId, EndpointId, ReplayId};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::subscription::EventType;

use super::super::rows;
use crate::fault::Fault;

/// What [`replay`] reads.
macro_rules! replay_columns {
    () => {
        "id, tenant_id, endpoint_id, kind, since, until, failed_only, event_types, state, total, taken, cursor, \
         created_at, finished_at"
    };
}
pub(super) use replay_columns;

/// Reads [`replay_columns`].
pub(super) fn replay(row: &SqliteRow) -> Result<Replay, Fault> {
    let id = ReplayId::from_uuid(row.try_get(0)?);
    let unknown = |what: &str, word: &str| Fault::Row(format!("{id} has the unknown {what} `{word}`"));
    let (kind, state): (&str, &str) = (row.try_get(3)?, row.try_get(8)?);
    let cursor: Option<Uuid> = row.try_get(11)?;
    Ok(Replay {
        id,
        tenant: rows::tenant_id(row.try_get(1)?)?,
        endpoint: EndpointId::from_uuid(row.try_get(2)?),
        kind: ReplayKind::parse(kind).ok_or_else(|| unknown("kind", kind))?,
        filter: filter(id, row)?,
        state: ReplayState::parse(state).ok_or_else(|| unknown("state", state))?,
        total: row.try_get(9)?,
        taken: row.try_get(10)?,
        cursor: cursor.map(DeliveryId::from_uuid),
        created_at: Timestamp::from_micros(row.try_get(12)?),
        finished_at: time(row, 13)?,
    })
}

fn filter(id: ReplayId, row: &SqliteRow) -> Result<ReplayFilter, Fault> {
    let event_types = serde_json::from_str(row.try_get(7)?)
        .map_err(|error| Fault::Row(format!("the event types of {id} cannot be read: {error}")))?;
    Ok(ReplayFilter { since: time(row, 4)?, until: time(row, 5)?, failed_only: row.try_get(6)?, event_types })
}

fn time(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

/// Event types as a JSON array.
pub(super) fn event_types_to_json(event_types: &[EventType]) -> String {
    serde_json::json!(event_types).to_string()
}

/// The ids that a filter's times leave: from the first one up to, but without, the second.
pub(super) fn bounds(filter: &ReplayFilter) -> (Uuid, Uuid) {
    let first_at = |at| DeliveryId::first_at(at).uuid();
    (filter.since.map_or(Uuid::nil(), first_at), filter.until.map_or(Uuid::max(), first_at))
}
