//! `GET /v1/replays`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::EndpointId;

use super::{ReplayView, TAG};
use crate::auth::Caller;
use crate::extract::ApiQuery;
use crate::page::Asked;
use crate::problem::{Answer, Problem};
use crate::state::SharedState;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplaysQuery {
    /// Only those of this webhook.
    #[param(pattern = "^hook_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    webhook_id: Option<String>,
    /// Items on the page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u32>,
    /// The `next_cursor` of an earlier page.
    #[param(pattern = "^rpl_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    cursor: Option<String>,
}

/// A page of replays.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayList {
    /// Newest first.
    replays: Vec<ReplayView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// List replays
///
/// Of one webhook or of all. None are shown of a webhook that the tenant does not have.
#[utoipa::path(
    get,
    path = "/v1/replays",
    tag = TAG,
    params(ReplaysQuery),
    responses((status = 200, description = "A page of replays, newest first", body = ReplayList))
)]
pub(crate) async fn list_replays(
    State(state): State<SharedState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ReplaysQuery>,
) -> Answer<Json<ReplayList>> {
    let asked = Asked::try_new(query.limit, query.cursor.as_deref())?;
    let endpoint = query.webhook_id.as_deref().map(webhook).transpose()?;
    let rows = state.store.replays(&caller.tenant.id, endpoint, asked.request()).await?;
    let (replays, next_cursor) = asked.cut(rows, |replay| replay.id);
    Ok(Json(ReplayList { replays: replays.iter().map(ReplayView::new).collect(), next_cursor }))
}

fn webhook(text: &str) -> Answer<EndpointId> {
    text.parse().map_err(|error| Problem::bad_request(format!("webhook_id: {error}")))
}
