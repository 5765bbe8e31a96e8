//! Changing an endpoint: read, decide, write, and again if somebody else was faster.

use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::{EndpointChange, Updated};
use whimbrel_core::{EndpointId, TenantId};

use super::read::{existing, unknown};
use crate::outlet::announce;
use crate::problem::{Answer, Problem};
use crate::state::ApiState;

/// How often a change is decided anew before the caller is told. Of those who race, one succeeds each time.
const TRIES: usize = 32;

/// An endpoint after a change.
pub(super) struct Changed<T> {
    /// As it was when the change was decided.
    pub(super) before: Endpoint,
    /// As it is now.
    pub(super) endpoint: Endpoint,
    /// What the decision said besides.
    pub(super) note: T,
}

/// Changes the endpoint as `decide` says, given the endpoint as it is. Nothing that happens between reading and
/// writing is lost: the write names the version that was read, and is decided again on another one.
pub(super) async fn change<T>(
    state: &ApiState,
    tenant: &TenantId,
    id: EndpointId,
    decide: impl Fn(&Endpoint) -> Answer<(EndpointChange, T)>,
) -> Answer<Changed<T>> {
    for _ in 0..TRIES {
        let before = existing(state, tenant, id).await?;
        let (change, note) = decide(&before)?;
        let change = EndpointChange { if_version: Some(before.version), ..change };
        match state.store.update_endpoint(tenant, id, &change).await? {
            Updated::Done(endpoint) => {
                announce(state, &endpoint).await;
                return Ok(Changed { before, endpoint: *endpoint, note });
            }
            Updated::Unknown => return Err(unknown(id)),
            Updated::Stale => tracing::debug!(%tenant, endpoint = %id, "changed meanwhile, deciding again"),
        }
    }
    Err(Problem::conflict("changed_meanwhile", format!("others change the webhook `{id}` all the time; try again")))
}
