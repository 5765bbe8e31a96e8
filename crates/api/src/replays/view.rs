//! A replay as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;
use whimbrel_core::replay::{Replay, ReplayKind, ReplayState};
use whimbrel_core::{EndpointId, ReplayId};

/// A replay and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayView {
    /// Names it.
    #[schema(value_type = String, example = "rpl_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    id: ReplayId,
    /// Whose deliveries these are.
    #[schema(value_type = String, example = "hook_01jb3h2k9fe8yaw3cvj6s5n7qt")]
    webhook_id: EndpointId,
    /// What it does.
    kind: Kind,
    /// How far it is.
    status: Status,
    /// Deliveries that matched when it began.
    total: u64,
    /// Deliveries begun, or given up, so far. More may have come to match since it began.
    started: u64,
    /// Only deliveries of events accepted at or after this time.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Only deliveries of events accepted before this time.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Whether it leaves out deliveries that had succeeded.
    only_failed: bool,
    /// Only events of these types; empty means all.
    #[schema(example = json!(["user.created"]))]
    event_types: Vec<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    finished_at: Option<String>,
}

/// What a replay does.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReplayKind)]
enum Kind {
    /// Lets out what was held while its webhook was not active.
    Release,
    /// Gives up what was held.
    Drop,
    /// Sends past deliveries again.
    Replay,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReplayStatus)]
enum Status {
    /// It goes on.
    Running,
    /// Everything was begun, and each delivery has the outcome of its first attempt.
    Done,
    /// Someone stopped it, or its webhook was deleted or stopped being active.
    Cancelled,
}

impl ReplayView {
    /// Shows a replay.
    pub(crate) fn new(replay: &Replay) -> Self {
        let filter = &replay.filter;
        Self {
            id: replay.id,
            webhook_id: replay.endpoint,
            kind: match replay.kind {
                // What was deferred goes out like what was held; it is not shown to anyone.
                ReplayKind::Release | ReplayKind::Deferred => Kind::Release,
                ReplayKind::Drop => Kind::Drop,
                ReplayKind::Replay => Kind::Replay,
            },
            status: match replay.state {
                ReplayState::Running => Status::Running,
                ReplayState::Done => Status::Done,
                ReplayState::Cancelled => Status::Cancelled,
            },
            total: replay.total,
            started: replay.taken,
            since: filter.since.map(|at| at.to_string()),
            until: filter.until.map(|at| at.to_string()),
            only_failed: filter.failed_only,
            event_types: filter.event_types.iter().map(ToString::to_string).collect(),
            created_at: replay.created_at.to_string(),
            finished_at: replay.finished_at.map(|at| at.to_string()),
        }
    }
}
