//! Webhooks: what the code calls endpoints.

mod activate;
mod create;
mod delete;
mod deliveries;
mod events;
mod list;
mod read;
mod rotate;
mod test;
mod update;
mod url;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

pub(crate) const TAG: &str = "webhooks";

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_webhook, list::list_webhooks))
        .routes(routes!(read::get_webhook, update::update_webhook, delete::delete_webhook))
        .routes(routes!(test::test_webhook))
        .routes(routes!(rotate::rotate_secret))
        .routes(routes!(activate::activate_webhook))
        .routes(routes!(deliveries::list_deliveries))
}
