//! Deliveries whose jobs seem lost (rule 18).

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use whimbrel_core::Timestamp;
use whimbrel_core::delivery::Delivery;
use whimbrel_core::port::Lane;

use crate::fault::Fault;
use crate::rows::{all, at, delivery};

/// One lane's statements.
struct Statements {
    claim: &'static str,
    last: &'static str,
}

macro_rules! statements {
    ($in_lane:literal) => {
        Statements {
            // Ten doublings are enough for any base.
            claim: concat!(
                "WITH due AS (
                     SELECT id, sweep_at FROM deliveries WHERE sweep_at <= $1 AND ",
                $in_lane,
                " ORDER BY sweep_at LIMIT $4 FOR UPDATE SKIP LOCKED
                 )
                 UPDATE deliveries d
                 SET sweep_at = $2 + $3 * (2 ^ least(d.sweeps, 10)) * interval '1 second',
                     sweeps = least(d.sweeps + 1, 1000)
                 FROM due WHERE d.id = due.id
                 RETURNING d.id, d.event_id, d.endpoint_id, d.state, d.reason, d.state_at, d.round, d.first_attempt,
                           d.attempt, due.sweep_at"
            ),
            last: concat!(
                "SELECT id, event_id, endpoint_id, state, reason, state_at, round, first_attempt, attempt
                 FROM deliveries WHERE sweep_at <= $1 AND ",
                $in_lane,
                " ORDER BY sweep_at DESC, id DESC LIMIT $2"
            ),
        }
    };
}

const LIVE: Statements = statements!("attempt = 1 AND round = 1");
const SLOW: Statements =
    statements!("NOT (attempt = 1 AND round = 1) AND NOT (attempt = first_attempt AND replay_id IS NOT NULL)");
const BULK: Statements =
    statements!("NOT (attempt = 1 AND round = 1) AND attempt = first_attempt AND replay_id IS NOT NULL");

const fn statements(lane: Lane) -> &'static Statements {
    match lane {
        Lane::Live => &LIVE,
        Lane::Slow => &SLOW,
        Lane::Bulk => &BULK,
    }
}

/// Oldest first. They are looked at again after `base` from `now`, doubled each time.
pub(super) async fn claim(
    pool: &PgPool,
    lane: Lane,
    until: Timestamp,
    (now, base): (Timestamp, Duration),
    limit: u32,
) -> Result<Vec<Delivery>, Fault> {
    let rows = sqlx::query(statements(lane).claim)
        .bind(OffsetDateTime::from(until))
        .bind(OffsetDateTime::from(now))
        .bind(base.as_secs_f64())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    let mut overdue = all(&rows, |row| Ok((at(row, 9)?, delivery(row)?)))?;
    overdue.sort_unstable_by_key(|(due, delivery)| (*due, delivery.id));
    Ok(overdue.into_iter().map(|(_, delivery)| delivery).collect())
}

/// The latest of those that are due.
pub(super) async fn last(pool: &PgPool, lane: Lane, until: Timestamp, limit: u32) -> Result<Vec<Delivery>, Fault> {
    let rows = sqlx::query(statements(lane).last)
        .bind(OffsetDateTime::from(until))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    all(&rows, delivery)
}
