//! A tenant's event types: its contract's catalogue, and what the tenant itself says of its types.

mod delete;
mod list;
mod put;
mod read;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::TAG;
use crate::state::SharedState;

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(list::list_event_types)).routes(routes!(
        read::get_event_type,
        put::put_event_type,
        delete::delete_event_type
    ))
}
