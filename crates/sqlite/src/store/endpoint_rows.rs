//! How endpoints lie in their columns.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use whimbrel_core::Timestamp;
use whimbrel_core::contract::ContractName;
use whimbrel_core::endpoint::{CustomHeaders, Endpoint, EndpointOptions, EndpointStatus, Health, SuspendReason};
use whimbrel_core::id::EndpointId;
use whimbrel_core::port::EndpointFacts;
use whimbrel_core::sealing::KeyRing;
use whimbrel_core::subscription::Pattern;

use super::rows;
use crate::fault::Fault;

/// A statement that gives whole endpoints `e`, to be read with [`endpoint`].
macro_rules! select_endpoint {
    ($tail:literal) => {
        concat!(
            "SELECT e.id, e.tenant_id, e.status, e.suspend_reason, e.suspended_since, e.consecutive_failures, \
             e.failing_since, e.activated_at, e.version, e.options, e.url, e.events, e.description, e.secrets, \
             e.headers, e.created_at, t.contract FROM endpoints e JOIN tenants t ON t.id = e.tenant_id ",
            $tail
        )
    };
}
pub(super) use select_endpoint;

/// A stored contract's name.
pub(super) fn contract(text: &str) -> Result<ContractName, Fault> {
    text.parse().map_err(|_| Fault::Row(format!("a stored tenant has the contract `{text}`, which is no name")))
}

/// Stored subscriptions: a JSON array.
pub(super) fn patterns(id: EndpointId, json: &str) -> Result<Vec<Pattern>, Fault> {
    serde_json::from_str(json).map_err(|error| Fault::Row(format!("the subscriptions of {id} cannot be read: {error}")))
}

/// The reverse of [`patterns`].
pub(super) fn patterns_to_json(patterns: &[Pattern]) -> String {
    serde_json::json!(patterns).to_string()
}

/// What an owner chose: a JSON object, mostly empty.
pub(super) fn options(id: EndpointId, json: &str) -> Result<EndpointOptions, Fault> {
    if json == "{}" {
        return Ok(EndpointOptions::default());
    }
    serde_json::from_str(json).map_err(|error| Fault::Row(format!("the options of {id} cannot be read: {error}")))
}

/// The reverse of [`options`].
pub(super) fn options_to_json(options: &EndpointOptions) -> String {
    serde_json::json!(options).to_string()
}

/// The columns `status, suspend_reason, suspended_since`.
pub(super) fn status(
    id: EndpointId,
    word: &str,
    reason: Option<&str>,
    since: Option<i64>,
) -> Result<EndpointStatus, Fault> {
    let suspended = || {
        let reason = SuspendReason::parse(reason?)?;
        Some(EndpointStatus::Suspended { reason, since: Timestamp::from_micros(since?) })
    };
    match word {
        "active" => Some(EndpointStatus::Active),
        "disabled" => Some(EndpointStatus::Disabled),
        "suspended" => suspended(),
        _ => None,
    }
    .ok_or_else(|| Fault::Row(format!("{id} has the unknown status `{word}` ({reason:?})")))
}

/// The reverse of [`status`], without the word.
pub(super) fn suspension_columns(status: EndpointStatus) -> (Option<&'static str>, Option<i64>) {
    match status {
        EndpointStatus::Suspended { reason, since } => (Some(reason.as_str()), Some(since.as_micros())),
        EndpointStatus::Active | EndpointStatus::Disabled => (None, None),
    }
}

fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

/// Reads `id, tenant_id, status, suspend_reason, suspended_since, consecutive_failures, failing_since,
/// activated_at, version, options`, the first ten columns of every statement that gives endpoints.
pub(super) fn facts(row: &SqliteRow) -> Result<(EndpointId, EndpointFacts), Fault> {
    let id = EndpointId::from_uuid(row.try_get(0)?);
    let facts = EndpointFacts {
        tenant: rows::tenant_id(row.try_get(1)?)?,
        status: status(id, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?)?,
        health: Health { consecutive_failures: row.try_get(5)?, failing_since: time(row.try_get(6)?) },
        activated_at: time(row.try_get(7)?),
        version: row.try_get(8)?,
        retry_delays: options(id, row.try_get(9)?)?.retry_delays,
    };
    Ok((id, facts))
}

/// Reads what [`select_endpoint`] gives.
pub(super) fn endpoint(row: &SqliteRow, ring: &KeyRing) -> Result<Endpoint, Fault> {
    let (id, facts) = facts(row)?;
    let headers: Option<&[u8]> = row.try_get(14)?;
    Ok(Endpoint {
        id,
        tenant: facts.tenant,
        contract: contract(row.try_get(16)?)?,
        url: row.try_get(10)?,
        events: patterns(id, row.try_get(11)?)?,
        description: row.try_get(12)?,
        secrets: ring.open(row.try_get(13)?, id)?,
        headers: headers.map_or(Ok(CustomHeaders::default()), |sealed| ring.open_headers(sealed, id))?,
        options: options(id, row.try_get(9)?)?,
        status: facts.status,
        health: facts.health,
        version: facts.version,
        activated_at: facts.activated_at,
        created_at: Timestamp::from_micros(row.try_get(15)?),
    })
}
