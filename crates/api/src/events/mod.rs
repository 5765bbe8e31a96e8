//! Events: publishing them and looking at them, and what their types are.

mod accept;
mod batch;
mod claim;
mod create;
mod erase;
mod list;
mod read;
mod schemas;
mod types;
mod view;
mod wire;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use schemas::Schemas;

use crate::state::SharedState;

pub(crate) const TAG: &str = "events";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_event, list::list_events))
        .routes(routes!(batch::create_events))
        .routes(routes!(read::get_event))
        .routes(routes!(erase::erase_payload))
        .merge(types::routes())
}
