//! Every metric there is. What the code counts and what this table says is held together by tests, and docs/metrics.md,
//! the alert rules and the dashboard by this table.

use crate::metric::{Label, Metric, Role, Unit};

/// Metrics that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Area {
    /// A heading.
    pub title: &'static str,
    /// In the order of a reader's interest.
    pub metrics: &'static [Metric],
}

/// For what should take milliseconds.
const SHORT: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// For receivers, which may take half a minute.
const POSTS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];
/// For waiting, which may take hours.
const WAITS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0];

const LANE: Label = Label::of("lane", &["live", "slow", "bulk"]);
const TIER: Label = Label::configured("tier", "the delays of the loaded contracts, and 1s, 2s, 5s, 10s");
const PORT: Label = Label::of("port", &["store", "queue"]);
const REASON: Label = Label::of("reason", REJECTIONS);

/// Every reason of a rejection.
const REJECTIONS: &[&str] = &[
    "bad_cloud_event",
    "bad_content_type",
    "bad_key",
    "bad_time",
    "bad_type",
    "conflict",
    "forbidden_id",
    "forbidden_tenant",
    "malformed",
    "missing_id",
    "not_json",
    "oversize",
    "rate_limited",
    "reserved_type",
    "schema",
    "store_refused",
    "unknown_contract",
    "unknown_tenant",
    "unknown_type",
];

/// The table.
pub const TABLE: &[Area] = &[
    Area { title: "Intake", metrics: INTAKE },
    Area { title: "Sending", metrics: SENDING },
    Area { title: "Results", metrics: RESULTS },
    Area { title: "What the tracker does by the clock", metrics: DUTIES },
    Area { title: "Queues and tiers", metrics: QUEUES },
    Area { title: "Store and broker", metrics: ENGINES },
];

const INTAKE: &[Metric] = &[
    Metric::counter("whimbrel_events_accepted_total", &[Role::Ingest], "Events that were fanned out."),
    Metric::counter(
        "whimbrel_events_rejected_total",
        &[Role::Api, Role::Ingest],
        "Events that were refused: answered with an error over HTTP, parked over AMQP.",
    )
    .by(&[REASON, Label::of("source", &["http", "amqp"])])
    .when_seen(),
];

const SENDING: &[Metric] = &[
    Metric::counter("whimbrel_jobs_received_total", &[Role::Sender], "Jobs taken from a lane.").by(&[LANE]),
    Metric::histogram(
        "whimbrel_job_wait_seconds",
        WAITS,
        &[Role::Sender],
        "Time from when a job was due until a sender had it in hand; a first attempt is due when its event was accepted.",
    )
    .by(&[LANE]),
    Metric::histogram(
        "whimbrel_first_attempt_latency_seconds",
        WAITS,
        &[Role::Sender],
        "Time from the acceptance of an event until the POST of its first attempt begins.",
    ),
    Metric::gauge("whimbrel_attempts_in_flight", Unit::Count, &[Role::Sender], "POSTs under way.")
        .by(&[LANE])
        .at_once(),
    Metric::histogram(
        "whimbrel_attempt_duration_seconds",
        POSTS,
        &[Role::Sender],
        "Duration of attempts, from the connection to the last byte read.",
    )
    .by(&[Label::configured("contract", "the loaded contracts")]),
    Metric::counter(
        "whimbrel_jobs_parked_total",
        &[Role::Sender],
        "Jobs put off for seconds because their endpoint had as many POSTs under way as it may.",
    )
    .by(&[LANE]),
    Metric::counter(
        "whimbrel_jobs_throttled_total",
        &[Role::Sender],
        "Jobs put off because their receiver had asked for a pause.",
    )
    .by(&[LANE]),
    Metric::counter(
        "whimbrel_jobs_stale_total",
        &[Role::Sender],
        "Jobs dropped because their delivery had moved on.",
    ),
];

const RESULTS: &[Metric] = &[
    Metric::counter("whimbrel_attempts_total", &[Role::Tracker], "Attempts by result.")
        .by(&[Label::of("result", &["success", "failure"])]),
    Metric::counter("whimbrel_deliveries_total", &[Role::Tracker], "Deliveries that came to their end, by verdict.")
        .by(&[Label::of("state", &["succeeded", "failed", "cancelled"])]),
    Metric::counter("whimbrel_endpoints_suspended_total", &[Role::Tracker], "Endpoints that were suspended.")
        .by(&[Label::of("reason", &["consecutive_failures", "failing_too_long", "gone"])]),
    Metric::gauge(
        "whimbrel_endpoints",
        Unit::Count,
        &[Role::Tracker],
        "Endpoints of all tenants by their status, counted every 5 seconds by the tracker that does the duties; 0 from the \
         others.",
    )
    .by(&[Label::of("state", &["active", "suspended", "disabled"])])
    .at_once(),
    Metric::counter(
        "whimbrel_duplicate_posts_total",
        &[Role::Tracker],
        "POSTs that repeated an attempt which had a result already.",
    ),
    Metric::counter(
        "whimbrel_outcomes_unknown_total",
        &[Role::Tracker],
        "Outcomes of deliveries that are not in the store any more.",
    ),
    Metric::counter(
        "whimbrel_outcomes_refused_total",
        &[Role::Tracker],
        "Outcomes that the store refused for good and that were dropped.",
    ),
];

const DUTIES: &[Metric] = &[
    Metric::counter(
        "whimbrel_sweep_republished_total",
        &[Role::Tracker],
        "Deliveries whose job was lost, published again by the sweep; 0 in health.",
    )
    .by(&[LANE]),
    Metric::counter("whimbrel_replayed_total", &[Role::Tracker], "Deliveries that a replay took.")
        .by(&[Label::of("kind", &["release", "drop", "replay", "deferred"])]),
    Metric::counter(
        "whimbrel_releases_found_total",
        &[Role::Tracker],
        "Releases of held deliveries that nobody had started.",
    ),
    Metric::counter(
        "whimbrel_deliveries_expired_total",
        &[Role::Tracker],
        "Deliveries that never ended and failed at the end of the retention.",
    ),
    Metric::counter(
        "whimbrel_redriven_total",
        &[Role::Tracker],
        "Messages that had come too often and were brought back from parking by themselves.",
    ),
    Metric::counter(
        "whimbrel_pruned_total",
        &[Role::Tracker],
        "Steps of retention: days removed on PostgreSQL, events on SQLite.",
    ),
];

const QUEUES: &[Metric] = &[
    Metric::gauge(
        "whimbrel_queue_depth",
        Unit::Count,
        &[Role::Tracker],
        "Messages that are ready, read every 15 seconds; of a tier, those whose delay is not over.",
    )
    .by(&[Label::configured("queue", "events, jobs.LANE, delay.TIER, outcomes, parking and, on RabbitMQ, unroutable")]),
    Metric::counter(
        "whimbrel_tier_due_total",
        &[Role::Sender, Role::Tracker],
        "Messages whose delay in a tier is over, counted by the process that put them there.",
    )
    .by(&[TIER]),
    Metric::counter("whimbrel_tier_left_total", &[Role::Sender], "Messages that came out of a tier.").by(&[TIER]),
];

const ENGINES: &[Metric] = &[
    Metric::histogram(
        "whimbrel_ping_seconds",
        SHORT,
        Role::ALL,
        "Round trip of a smallest question to store and queue, asked every 15 seconds.",
    )
    .by(&[PORT]),
    Metric::counter("whimbrel_ping_failures_total", Role::ALL, "Such questions without an answer within 5 seconds.")
        .by(&[PORT]),
    Metric::histogram(
        "whimbrel_store_commit_seconds",
        SHORT,
        &[Role::Ingest, Role::Tracker],
        "Duration of the store's two great transactions, failed ones included.",
    )
    .by(&[Label::of("call", &["accept", "settle"])])
    .when_seen(),
    Metric::histogram(
        "whimbrel_publish_seconds",
        SHORT,
        Role::ALL,
        "Time from handing messages to the queue until each is confirmed.",
    ),
    Metric::gauge(
        "whimbrel_queue_blocked",
        Unit::Count,
        Role::ALL,
        "1 while the queue takes no messages: the broker lacks memory or disk, or the disk is full; else 0.",
    ),
    Metric::gauge(
        "whimbrel_clock_skew_seconds",
        Unit::Seconds,
        Role::ALL,
        "How far the store's clock lies ahead of the process's, as of the last /readyz.",
    ),
    Metric::counter(
        "whimbrel_reloads_total",
        Role::ALL,
        "Reloads asked for with SIGHUP; a refused one changes nothing, and the log says why.",
    )
    .by(&[Label::of("result", &["applied", "refused"])]),
    Metric::counter("whimbrel_sqlite_commits_total", Role::ALL, "Transactions of the embedded engine.").when_seen(),
    Metric::counter(
        "whimbrel_sqlite_jobs_total",
        Role::ALL,
        "Calls that those transactions gathered: divided by the commits, how well grouping works.",
    )
    .when_seen(),
];

/// Every metric of the table.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    TABLE.iter().flat_map(|area| area.metrics)
}
