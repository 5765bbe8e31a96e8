//! Deliveries and their attempts.

mod read;
mod retry;
mod status;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::SharedState;

pub(crate) use retry::not_retryable;
pub(crate) use status::ShownStatus;
pub(crate) use view::{DeliveryView, show};

pub(crate) const TAG: &str = "deliveries";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new().routes(routes!(read::get_delivery)).routes(routes!(retry::retry_delivery))
}
