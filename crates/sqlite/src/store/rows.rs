//! How deliveries lie in their columns: `state`, `reason` and `state_at` together are a [`DeliveryState`].

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::subscription::EventType;
use whimbrel_core::tenant::TenantId;

use crate::fault::Fault;

/// The first nine columns of every statement that gives deliveries.
macro_rules! delivery_columns {
    () => {
        "id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt"
    };
}
pub(super) use delivery_columns;

/// The columns `reason` and `state_at` of a state.
pub(super) fn state_columns(state: DeliveryState) -> (Option<&'static str>, Option<i64>) {
    let (reason, at) = state.columns();
    (reason, at.map(Timestamp::as_micros))
}

/// Reads [`delivery_columns`].
pub(super) fn delivery(row: &SqliteRow) -> Result<Delivery, Fault> {
    let id = DeliveryId::from_uuid(row.try_get(0)?);
    let (word, reason): (&str, Option<&str>) = (row.try_get(3)?, row.try_get(4)?);
    let at: Option<i64> = row.try_get(5)?;
    let state = DeliveryState::from_columns(word, reason, at.map(Timestamp::from_micros))
        .ok_or_else(|| Fault::Row(format!("{id} is in the unknown state `{word}` ({reason:?})")))?;
    Ok(Delivery {
        id,
        event: EventId::from_uuid(row.try_get(1)?),
        endpoint: EndpointId::from_uuid(row.try_get(2)?),
        state,
        round: row.try_get(6)?,
        first_attempt: row.try_get(7)?,
        attempt: row.try_get(8)?,
    })
}

/// Reads a delivery, then `tenant_id, event_type, attempts, status_code, error`.
pub(super) fn delivery_row(row: &SqliteRow) -> Result<DeliveryRow, Fault> {
    Ok(DeliveryRow {
        delivery: delivery(row)?,
        tenant: tenant_id(row.try_get(9)?)?,
        event_type: event_type(row.try_get(10)?)?,
        attempts: row.try_get(11)?,
        status_code: row.try_get(12)?,
        error: row.try_get(13)?,
    })
}

/// Reads all rows with `read`.
pub(super) fn all<T>(rows: &[SqliteRow], read: impl Fn(&SqliteRow) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    rows.iter().map(read).collect()
}

/// A stored tenant id.
pub(super) fn tenant_id(text: &str) -> Result<TenantId, Fault> {
    TenantId::try_new(text).map_err(|error| Fault::Row(error.to_string()))
}

/// A stored event type.
pub(super) fn event_type(text: &str) -> Result<EventType, Fault> {
    EventType::try_new(text).map_err(|error| Fault::Row(error.to_string()))
}
