//! `GET /v1/webhooks`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::TAG;
use super::view::WebhookView;
use crate::auth::Caller;
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
    #[param(pattern = "^hook_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    cursor: Option<String>,
}

/// A page of webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// Oldest first, without their secrets.
    webhooks: Vec<WebhookView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// List webhooks
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    tag = TAG,
    params(ListQuery),
    responses((status = 200, description = "A page of webhooks, oldest first", body = WebhookList))
)]
pub(crate) async fn list_webhooks(
    State(state): State<SharedState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Answer<Json<WebhookList>> {
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let rows = state.store.endpoints_of(&caller.tenant.id, asked.request()).await?;
    let (endpoints, next_cursor) = asked.cut(rows, |endpoint| endpoint.id);
    let webhooks = endpoints.iter().map(|endpoint| WebhookView::new(&state, endpoint)).collect();
    Ok(Json(WebhookList { webhooks, next_cursor }))
}
