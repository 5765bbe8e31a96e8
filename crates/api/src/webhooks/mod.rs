//! Webhooks: what the code calls endpoints.

mod activate;
mod change;
mod create;
mod delete;
mod deliveries;
mod events;
mod filter_doc;
mod headers;
mod list;
mod options;
mod read;
mod replay;
mod rotate;
mod signing_key;
mod stats;
mod test;
mod update;
mod url;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::SharedState;

pub(crate) const TAG: &str = "webhooks";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_webhook, list::list_webhooks))
        .routes(routes!(read::get_webhook, update::update_webhook, delete::delete_webhook))
        .routes(routes!(test::test_webhook))
        .routes(routes!(rotate::rotate_secret))
        .routes(routes!(activate::activate_webhook))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(stats::webhook_stats))
        .routes(routes!(replay::start_replay))
        .routes(routes!(signing_key::make_signing_key, signing_key::delete_signing_key))
        .routes(routes!(signing_key::get_public_key))
}
