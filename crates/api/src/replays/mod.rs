//! Replays: many deliveries of one webhook brought back, or given up, a window at a time (rule 8).
//!
//! The API writes what is wanted; the tracker does it.

mod cancel;
mod list;
mod read;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind};
use whimbrel_core::{EndpointId, ReplayId, TenantId};

use crate::state::{ApiState, SharedState};

pub(crate) use view::ReplayView;

pub(crate) const TAG: &str = "replays";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list::list_replays)).routes(routes!(read::get_replay, cancel::cancel_replay))
}

/// One that begins now.
pub(crate) fn new_replay(
    state: &ApiState,
    tenant: &TenantId,
    endpoint: EndpointId,
    kind: ReplayKind,
    filter: ReplayFilter,
) -> Replay {
    let now = state.clock.now();
    let id = ReplayId::generate(now, state.clock.random10());
    Replay::new(id, tenant.clone(), endpoint, kind, filter, now)
}
