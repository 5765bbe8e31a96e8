//! Idempotency over HTTP (rule 6): a key is claimed before its event is published. A repeat is published
//! again under the stored id, since nobody knows whether the first one arrived; ingest deduplicates.

use axum::http::HeaderMap;
use whimbrel_core::intake::{IdempotencyKey, content_hash};
use whimbrel_core::port::{Claim, Claimed};
use whimbrel_core::{EventId, Timestamp};

use super::accept::Checked;
use crate::auth::Caller;
use crate::problem::{Answer, Problem};
use crate::state::ApiState;

/// The header.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key of the header, if there is one.
pub(super) fn header_key(headers: &HeaderMap) -> Answer<Option<IdempotencyKey>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::bad_request("the Idempotency-Key header stands there more than once"));
    }
    let text = value.to_str().map_err(|_| Problem::bad_request("the Idempotency-Key header is not ASCII"))?;
    IdempotencyKey::plain(text).map(Some).map_err(|rejection| Problem::bad_request(rejection.message))
}

/// The id that each event goes out under, in order, or the conflict that it does not.
pub(super) async fn claim(
    state: &ApiState,
    caller: &Caller,
    events: &[&Checked],
    now: Timestamp,
) -> Answer<Vec<Answer<EventId>>> {
    let claims: Vec<Claim> = events.iter().filter_map(|checked| claim_of(state, caller, checked, now)).collect();
    let claimed = if claims.is_empty() { Vec::new() } else { state.store.claim(&claims, now).await? };
    let mut claimed = claimed.into_iter();
    let id_of = |checked: &&Checked| {
        if checked.event.key.is_none() {
            return Ok(checked.id);
        }
        match claimed.next().ok_or_else(Problem::internal)? {
            Claimed::Fresh => Ok(checked.id),
            Claimed::Repeat(id) => Ok(id),
            Claimed::Conflict => Err(conflict()),
        }
    };
    Ok(events.iter().map(id_of).collect())
}

fn claim_of(state: &ApiState, caller: &Caller, checked: &Checked, now: Timestamp) -> Option<Claim> {
    Some(Claim {
        tenant: caller.tenant.id.clone(),
        key_hash: checked.event.key.as_ref()?.hash(),
        content_hash: content_hash(&checked.event.event_type, &checked.event.data),
        event: checked.id,
        expires_at: now + state.settings.idempotency_window,
    })
}

fn conflict() -> Problem {
    let detail = "another event came under this idempotency key before; send this one under a key of its own";
    Problem::conflict("idempotency_conflict", detail)
}
