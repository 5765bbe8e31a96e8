//! How values lie in their columns: `state`, `reason` and `state_at` together are a [`DeliveryState`].

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;
use uuid::Uuid;
use whimbrel_core::delivery::{Delivery, DeliveryRow, DeliveryState};
use whimbrel_core::endpoint::{EndpointOptions, EndpointStatus, Health, SuspendReason};
use whimbrel_core::id::{DeliveryId, EndpointId, EventId};
use whimbrel_core::subscription::{EventType, Pattern};
use whimbrel_core::tenant::TenantId;
use whimbrel_core::{Timestamp, contract::ContractName};

use crate::fault::Fault;

/// An integer that the tables keep signed.
pub(crate) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// The columns `reason` and `state_at` of a state.
pub(crate) fn state_columns(state: DeliveryState) -> (Option<&'static str>, Option<OffsetDateTime>) {
    let (reason, at) = state.columns();
    (reason, at.map(OffsetDateTime::from))
}

/// Reads `id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt`, the first nine
/// columns of every statement that gives deliveries.
pub(crate) fn delivery(row: &PgRow) -> Result<Delivery, Fault> {
    let id = DeliveryId::from_uuid(row.try_get(0)?);
    let (word, reason): (&str, Option<&str>) = (row.try_get(3)?, row.try_get(4)?);
    let at: Option<OffsetDateTime> = row.try_get(5)?;
    let state = DeliveryState::from_columns(word, reason, at.map(Timestamp::from))
        .ok_or_else(|| Fault::Row(format!("{id} is in the unknown state `{word}` ({reason:?})")))?;
    Ok(Delivery {
        id,
        event: EventId::from_uuid(row.try_get(1)?),
        endpoint: EndpointId::from_uuid(row.try_get(2)?),
        state,
        round: unsigned(row.try_get(6)?),
        first_attempt: unsigned(row.try_get(7)?),
        attempt: unsigned(row.try_get(8)?),
    })
}

/// Reads a delivery, then `tenant_id, event_type, attempts, status_code, error`.
pub(crate) fn delivery_row(row: &PgRow) -> Result<DeliveryRow, Fault> {
    Ok(DeliveryRow {
        delivery: delivery(row)?,
        tenant: tenant_id(row.try_get(9)?)?,
        event_type: event_type(row.try_get(10)?)?,
        attempts: unsigned(row.try_get(11)?),
        status_code: status_code(row.try_get(12)?),
        error: row.try_get(13)?,
    })
}

pub(crate) fn status_code(stored: Option<i16>) -> Option<u16> {
    stored.and_then(|code| u16::try_from(code).ok())
}

pub(crate) fn stored_status(code: Option<u16>) -> Option<i16> {
    code.and_then(|code| i16::try_from(code).ok())
}

/// Reads `status, suspend_reason, suspended_since` from this column on.
pub(crate) fn endpoint_status(row: &PgRow, from: usize) -> Result<EndpointStatus, Fault> {
    let (word, reason): (&str, Option<&str>) = (row.try_get(from)?, row.try_get(from + 1)?);
    let since: Option<OffsetDateTime> = row.try_get(from + 2)?;
    match (word, reason.and_then(SuspendReason::parse), since) {
        ("active", _, _) => Ok(EndpointStatus::Active),
        ("disabled", _, _) => Ok(EndpointStatus::Disabled),
        ("suspended", Some(reason), Some(since)) => Ok(EndpointStatus::Suspended { reason, since: since.into() }),
        _ => Err(Fault::Row(format!("an endpoint has the unknown status `{word}` ({reason:?})"))),
    }
}

/// The columns `status, suspend_reason, suspended_since` of a status.
pub(crate) fn status_columns(status: EndpointStatus) -> (&'static str, Option<&'static str>, Option<OffsetDateTime>) {
    match status {
        EndpointStatus::Suspended { reason, since } => (status.as_str(), Some(reason.as_str()), Some(since.into())),
        EndpointStatus::Active | EndpointStatus::Disabled => (status.as_str(), None, None),
    }
}

/// Reads `consecutive_failures, failing_since` from this column on.
pub(crate) fn health(row: &PgRow, from: usize) -> Result<Health, Fault> {
    let since: Option<OffsetDateTime> = row.try_get(from + 1)?;
    Ok(Health { consecutive_failures: unsigned(row.try_get(from)?), failing_since: since.map(Timestamp::from) })
}

pub(crate) fn tenant_id(text: &str) -> Result<TenantId, Fault> {
    TenantId::try_new(text).map_err(|error| Fault::Row(error.to_string()))
}

pub(crate) fn event_type(text: &str) -> Result<EventType, Fault> {
    EventType::try_new(text).map_err(|error| Fault::Row(error.to_string()))
}

pub(crate) fn contract(text: &str) -> Result<ContractName, Fault> {
    text.parse().map_err(|error| Fault::Row(format!("{error}")))
}

pub(crate) fn patterns(texts: &[String]) -> Result<Vec<Pattern>, Fault> {
    texts.iter().map(|text| text.parse().map_err(|error| Fault::Row(format!("{error}")))).collect()
}

pub(crate) fn hash(row: &PgRow, column: usize) -> Result<[u8; 32], Fault> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|_| Fault::Row("a stored hash has not 32 bytes".into()))
}

/// A count, which is never negative.
pub(crate) fn count(row: &PgRow, column: usize) -> Result<u64, Fault> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

/// Reads JSON that was selected as text; most is `{}`.
pub(crate) fn json<T: Default + serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    if text == "{}" {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| Fault::Row(format!("stored JSON is not what it should be: {error}")))
}

/// JSON for a column.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("options and limits are JSON")
}

/// Reads options that were selected as text.
pub(crate) fn options(row: &PgRow, column: usize) -> Result<EndpointOptions, Fault> {
    json(row.try_get(column)?)
}

/// The moment that is there or not.
pub(crate) fn maybe_at(row: &PgRow, column: usize) -> Result<Option<Timestamp>, Fault> {
    Ok(row.try_get::<Option<OffsetDateTime>, _>(column)?.map(Timestamp::from))
}

pub(crate) fn at(row: &PgRow, column: usize) -> Result<Timestamp, Fault> {
    Ok(row.try_get::<OffsetDateTime, _>(column)?.into())
}

/// Reads all rows with `read`.
pub(crate) fn all<T>(rows: &[PgRow], read: impl Fn(&PgRow) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    rows.iter().map(read).collect()
}

/// The lowest and the highest of some ids: the bounds that let PostgreSQL leave other days alone.
pub(crate) fn bounds(ids: &[Uuid]) -> (Uuid, Uuid) {
    let low = ids.iter().min().copied().unwrap_or(Uuid::max());
    (low, ids.iter().max().copied().unwrap_or(Uuid::nil()))
}
