//! `GET /v1/tenants`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TAG;
use super::view::TenantView;
use crate::auth::Admin;
use crate::extract::ApiQuery;
use crate::page::Asked;
use crate::problem::Answer;
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier page.
    #[param(pattern = "^[a-z0-9_-]{1,64}$")]
    cursor: Option<String>,
}

/// A page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantList {
    /// By id.
    tenants: Vec<TenantView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// List tenants
#[utoipa::path(
    get,
    path = "/v1/tenants",
    tag = TAG,
    params(ListQuery),
    responses((status = 200, description = "A page of tenants, by id", body = TenantList))
)]
pub(crate) async fn list_tenants(
    State(state): State<SharedState>,
    _: Admin,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Answer<Json<TenantList>> {
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let (tenants, next_cursor) = asked.cut(state.store.tenants(asked.request()).await?, |tenant| tenant.id.clone());
    let tenants = tenants.into_iter().map(|tenant| TenantView::new(&state, tenant)).collect();
    Ok(Json(TenantList { tenants, next_cursor }))
}
