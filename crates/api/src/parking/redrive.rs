//! `POST /v1/parking/redrive`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use whimbrel_core::parking::Selection;
use whimbrel_core::port::ParkedFate;

use super::TAG;
use crate::auth::Admin;
use crate::extract::ApiJson;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

/// Messages that one request brings back at most.
const MOST: usize = 1_000;
/// Ids that one request names at most.
const IDS_MAX: usize = 100;

/// Which messages are meant: all that match every field that is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedriveParked {
    /// These.
    #[serde(default)]
    #[schema(required = false, value_type = Vec<String>, max_items = 100)]
    ids: Vec<String>,
    /// What came from here: `events`, `jobs.live`, `jobs.slow`, `jobs.bulk` or `outcomes`.
    source: Option<String>,
    /// What was parked for this reason: its stable word.
    reason: Option<String>,
    /// Everything; needed where nothing else is given.
    #[serde(default)]
    #[schema(required = false, example = true)]
    all: bool,
}

/// What was brought back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BroughtBack {
    /// Messages that went back to where they came from.
    redriven: u64,
    /// Messages that were meant, but nothing says where to.
    stuck: u64,
    /// Whether there are more: one request brings back 1,000 at most, and looks at 10,000.
    more: bool,
}

impl RedriveParked {
    fn selection(self) -> Answer<Selection> {
        if self.ids.len() > IDS_MAX {
            return Err(Problem::invalid_field("/ids", format!("no more than {IDS_MAX} ids can be named")));
        }
        let id = |(place, text): (usize, &String)| {
            text.parse().map_err(|error| Problem::invalid_field(format!("/ids/{place}"), format!("{error}")))
        };
        let ids = self.ids.iter().enumerate().map(id).collect::<Answer<Vec<_>>>()?;
        let source = self.source.as_deref().map(super::source).transpose();
        let source = source.map_err(|problem| Problem::invalid_field("/source", problem.body.detail))?;
        let meant = Selection { ids, source, reason: self.reason };
        if meant.is_everything() != self.all {
            let words = "name ids, a source or a reason, or say \"all\": true; not both";
            return Err(Problem::invalid_field("", words));
        }
        Ok(meant)
    }
}

/// Bring parked messages back
///
/// Each goes back to where it came from: an event to ingest under the id that it had, a job to its lane, an outcome to the
/// tracker. What still cannot be processed is parked again. For an admin key.
#[utoipa::path(
    post,
    path = "/v1/parking/redrive",
    tag = TAG,
    request_body = RedriveParked,
    responses(
        (status = 200, description = "What was brought back", body = BroughtBack),
        (status = 403, description = "The key may not do this, or the process's broker user may not (`not_permitted`)", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn redrive_parked(
    State(state): State<SharedState>,
    _: Admin,
    ApiJson(body): ApiJson<RedriveParked>,
) -> Answer<Json<BroughtBack>> {
    let meant = body.selection()?;
    let walk = state.parking.settle(&meant, ParkedFate::Redrive, MOST).await?;
    Ok(Json(BroughtBack { redriven: walk.redriven, stuck: walk.stuck, more: walk.more }))
}
