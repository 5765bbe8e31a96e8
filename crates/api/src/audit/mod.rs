//! The audit log: every change that someone made over the API, recorded around the handlers and shown.

mod list;
mod record;
mod slip;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use record::{record, recorded_route};
pub(crate) use slip::Slip;

use crate::state::SharedState;

pub(crate) const TAG: &str = "audit";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list::list_audit))
}
