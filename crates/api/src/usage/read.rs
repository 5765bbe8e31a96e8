//! `GET /v1/usage`

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::port::UsageRow;

use super::TAG;
use super::day::Day;
use crate::auth::Caller;
use crate::extract::ApiQuery;
use crate::problem::{Answer, Problem};
use crate::state::SharedState;

/// Days that are shown when the caller names no beginning.
const DAYS_DEFAULT: i64 = 30;
/// Days of one answer at most: a leap year's.
const DAYS_MAX: i64 = 366;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageQuery {
    /// The first day, in UTC; 30 days before `until` if left out.
    #[param(value_type = Option<String>, format = Date, example = "2026-01-01")]
    since: Option<Day>,
    /// The day after the last one, in UTC; tomorrow if left out, so that today is shown.
    #[param(value_type = Option<String>, format = Date, example = "2026-02-01")]
    until: Option<Day>,
}

/// What a tenant used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageList {
    /// Oldest first; a day without events may be missing.
    usage: Vec<UsageView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// What a tenant used on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    /// The day, in UTC.
    #[schema(format = Date, example = "2026-01-15")]
    day: String,
    /// Events accepted.
    events: u64,
    /// Deliveries that they made.
    deliveries: u64,
    /// Attempts made for those deliveries until the day was counted last.
    attempts: u64,
}

impl UsageView {
    fn new(row: &UsageRow) -> Self {
        Self {
            day: Day::of(row.day).to_string(),
            events: row.events,
            deliveries: row.deliveries,
            attempts: row.attempts,
        }
    }
}

/// The tenant's usage, day by day
///
/// Days are counted a little after they happen, so the current one may lag behind.
#[utoipa::path(
    get,
    path = "/v1/usage",
    tag = TAG,
    params(UsageQuery),
    responses((status = 200, description = "The counted days, oldest first", body = UsageList))
)]
pub(crate) async fn get_usage(
    State(state): State<SharedState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UsageQuery>,
) -> Answer<Json<UsageList>> {
    let until = query.until.unwrap_or_else(|| Day::of(state.clock.now()).next());
    let since = query.since.unwrap_or_else(|| until.back(DAYS_DEFAULT));
    if !(1..=DAYS_MAX).contains(&since.until(until)) {
        let detail = format!("since is {since} and until {until}; until must lie 1 to {DAYS_MAX} days after since");
        return Err(Problem::bad_request(detail));
    }
    let rows = state.store.usage(&caller.tenant.id, since.start(), until.start()).await?;
    Ok(Json(UsageList { usage: rows.iter().map(UsageView::new).collect(), next_cursor: None }))
}
