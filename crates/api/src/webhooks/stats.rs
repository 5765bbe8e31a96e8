//! `GET /v1/webhooks/{id}/stats`

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use whimbrel_core::endpoint::EndpointStatus;
use whimbrel_core::port::EndpointStats;
use whimbrel_core::{EndpointId, Timestamp};

use super::TAG;
use super::read::existing;
use crate::auth::Caller;
use crate::deliveries::ShownStatus;
use crate::extract::{ApiQuery, Id};
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::SharedState;

const WINDOW_DEFAULT: Duration = Duration::from_hours(24);
const WINDOW_MAX: Duration = Duration::from_hours(31 * 24);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatsQuery {
    /// Only events accepted at or after this time. Left out, a day before `until`; at most 31 days before it.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only events accepted before this time. Left out, now.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// How a webhook did over a while.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookStats {
    /// The webhook.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    webhook_id: EndpointId,
    /// Of events accepted at or after this time.
    #[schema(format = DateTime)]
    since: String,
    /// Of events accepted before this time.
    #[schema(format = DateTime)]
    until: String,
    /// Its deliveries by their status now.
    deliveries: DeliveryCounts,
    /// Attempts made for them.
    attempts: u64,
    /// The share of the attempts that succeeded, from 0 to 1; null without any.
    #[schema(minimum = 0, maximum = 1)]
    success_rate: Option<f64>,
    /// The median duration of successful attempts, in milliseconds; null without any.
    p50_ms: Option<u32>,
    /// The duration that 95 of 100 successful attempts stay within, in milliseconds; null without any.
    p95_ms: Option<u32>,
}

/// Numbers of deliveries by status.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DeliveryCounts {
    /// Wait for their attempt.
    pending: u64,
    /// Wait for another attempt after a failure.
    retrying: u64,
    /// Wait until the webhook is activated.
    held: u64,
    /// The receiver answered 2xx.
    success: u64,
    /// Not tried again by themselves.
    failed: u64,
    /// Given up.
    cancelled: u64,
}

/// A webhook's figures
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/stats",
    tag = TAG,
    params(("id" = String, Path, description = "The webhook's id"), StatsQuery),
    responses(
        (status = 200, description = "The figures", body = WebhookStats),
        (status = 404, description = "No such webhook", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn webhook_stats(
    State(state): State<SharedState>,
    caller: Caller,
    Id(id): Id<EndpointId>,
    ApiQuery(query): ApiQuery<StatsQuery>,
) -> Answer<Json<WebhookStats>> {
    let (since, until) = window(&query, state.clock.now())?;
    let endpoint = existing(&state, &caller.tenant.id, id).await?;
    let stats = state.store.stats(id, since, until).await?;
    Ok(Json(WebhookStats {
        webhook_id: id,
        since: since.to_string(),
        until: until.to_string(),
        deliveries: DeliveryCounts::new(&stats, endpoint.status),
        attempts: stats.attempts,
        success_rate: success_rate(&stats),
        p50_ms: stats.p50_ms,
        p95_ms: stats.p95_ms,
    }))
}

fn window(query: &StatsQuery, now: Timestamp) -> Answer<(Timestamp, Timestamp)> {
    let until = query.until.unwrap_or(now);
    let since = query.since.unwrap_or_else(|| until.before(WINDOW_DEFAULT));
    if since >= until {
        return Err(Problem::bad_request(format!("since is {since} and until {until}; since must come first")));
    }
    if until.since(since) > WINDOW_MAX {
        return Err(Problem::bad_request(format!("from {since} to {until} is longer than 31 days")));
    }
    Ok((since, until))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits than a double has")]
fn success_rate(stats: &EndpointStats) -> Option<f64> {
    let succeeded = stats.attempts.saturating_sub(stats.failed_attempts);
    (stats.attempts > 0).then(|| succeeded as f64 / stats.attempts as f64)
}

impl DeliveryCounts {
    fn new(stats: &EndpointStats, endpoint: EndpointStatus) -> Self {
        let mut counts = Self::default();
        for (word, count) in &stats.deliveries {
            if let Some(status) = ShownStatus::of_stored(word, endpoint) {
                *counts.of(status) += count;
            }
        }
        counts
    }

    fn of(&mut self, status: ShownStatus) -> &mut u64 {
        match status {
            ShownStatus::Pending => &mut self.pending,
            ShownStatus::Retrying => &mut self.retrying,
            ShownStatus::Held => &mut self.held,
            ShownStatus::Success => &mut self.success,
            ShownStatus::Failed => &mut self.failed,
            ShownStatus::Cancelled => &mut self.cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(100 * 86_400);

    #[test]
    fn the_window_is_a_day_unless_asked_and_31_days_at_most() {
        let of = |since: Option<i64>, until: Option<i64>| {
            let time = |secs| Timestamp::from_secs(secs);
            let query = StatsQuery { since: since.map(time), until: until.map(time) };
            window(&query, NOW).ok().map(|(since, until)| (since.as_secs() / 86_400, until.as_secs() / 86_400))
        };
        assert_eq!(of(None, None), Some((99, 100)));
        assert_eq!(of(None, Some(50 * 86_400)), Some((49, 50)));
        assert_eq!(of(Some(69 * 86_400), None), Some((69, 100)));
        assert_eq!(of(Some(69 * 86_400 - 1), None), None);
        assert_eq!(of(Some(100 * 86_400), None), None);
        assert_eq!(of(Some(i64::MIN), Some(i64::MAX)), None);
    }

    #[test]
    fn rule_07_counts_are_by_shown_status() {
        let words = ["pending", "retrying", "waiting", "held", "succeeded", "failed", "cancelled"];
        let deliveries = words.into_iter().zip(1..).map(|(word, count)| (word.to_owned(), count)).collect();
        let stats = EndpointStats { deliveries, ..EndpointStats::default() };
        let (success, failed, cancelled) = (5, 6, 7);
        assert_eq!(
            DeliveryCounts::new(&stats, EndpointStatus::Active),
            DeliveryCounts { pending: 4, retrying: 2, held: 4, success, failed, cancelled }
        );
        assert_eq!(
            DeliveryCounts::new(&stats, EndpointStatus::Disabled),
            DeliveryCounts { pending: 0, retrying: 0, held: 10, success, failed, cancelled }
        );
    }

    #[test]
    fn a_rate_needs_attempts() {
        let rate = |attempts, failed_attempts| {
            success_rate(&EndpointStats { attempts, failed_attempts, ..EndpointStats::default() })
        };
        assert_eq!([rate(0, 0), rate(4, 1), rate(2, 2)], [None, Some(0.75), Some(0.0)]);
    }
}
