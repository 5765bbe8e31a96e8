//! Tenants and their keys. An admin key only.

mod admin_keys;
mod create;
mod delete;
mod erase;
mod key_view;
mod keys;
pub(crate) mod limits;
mod list;
mod read;
mod update;
mod view;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::SharedState;

pub(crate) const TAG: &str = "tenants";

pub(crate) fn routes() -> OpenApiRouter<SharedState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_tenant, list::list_tenants))
        .routes(routes!(read::get_tenant, update::update_tenant, delete::delete_tenant))
        .routes(routes!(erase::erase_tenant))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(admin_keys::create_admin_key, admin_keys::list_admin_keys))
        .routes(routes!(keys::delete_key))
}
