//! The writer's loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::group::{Group, Outcome};
use super::handed::Handed;
use super::{Inbox, Spent};
use crate::fault::Fault;
use crate::lock::DataDir;
use crate::queue::lent::Lent;
use crate::queue::place::Ids;
use crate::queue::{Dispatch, table};

/// How often a file that refuses commits is tried, if nobody else does.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// How much the writer has done since it was started.
#[derive(Debug, Default)]
pub struct Tally {
    commits: AtomicU64,
    jobs: AtomicU64,
}

impl Tally {
    /// Transactions committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Calls and publishes in them.
    pub fn jobs(&self) -> u64 {
        self.jobs.load(Ordering::Relaxed)
    }
}

/// Where more share a commit there is much to do: to be woken for each job that comes meanwhile costs more than it gives.
const FEW: usize = 8;

/// How long what was dealt with waits for a commit that somebody needs: nobody waits for it.
const SPENT_MAX: Duration = Duration::from_millis(20);

/// What the writer starts with.
pub(crate) struct Start {
    pub(crate) db: SqliteConnection,
    pub(crate) reopen: SqliteConnectOptions,
    pub(crate) file: PathBuf,
    pub(crate) inbox: Inbox,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) ids: Ids,
    pub(crate) lent: Arc<Lent>,
    pub(crate) stop: CancellationToken,
    pub(crate) tally: Arc<Tally>,
    /// Told of every commit.
    pub(crate) committed: Arc<Notify>,
    /// Held until the last statement is done.
    pub(crate) dir: Arc<DataDir>,
}

/// The writer at work.
pub(crate) struct Task {
    start: Start,
    /// Dealt with, and not yet committed.
    spent: Spent,
    /// Until when it may stay so.
    spent_until: Option<Instant>,
    /// Acks of messages that the group at hand is to write.
    early: Vec<i64>,
    /// With consumers, and not written.
    handed: Handed,
    failing: bool,
}

impl Task {
    /// Ready to run.
    pub(crate) fn new(start: Start) -> Self {
        let (spent, handed) = (Spent::default(), Handed::default());
        Self { start, spent, spent_until: None, early: Vec::new(), handed, failing: false }
    }

    /// Commits group after group until the engine is closed or dropped, and then what is left.
    pub(crate) async fn run(mut self) {
        let mut group = Group::default();
        loop {
            let stopped = group.len() == 0 && self.wait(&mut group).await;
            if stopped {
                self.start.inbox.jobs.close();
            }
            group.fill(&mut self.start.inbox);
            self.gather_spent(&mut group);
            let may_give = !stopped && !self.failing;
            let Start { dispatch, ids, .. } = &mut self.start;
            group.hand_over(&mut self.handed, &dispatch.lots, ids, may_give);
            let is_wanted = group.len() > 0 || self.is_spent_long(stopped);
            if is_wanted || self.failing {
                group = self.commit(group, may_give).await;
                self.spent_until = None;
            } else if stopped {
                break;
            }
            if stopped && self.failing {
                break;
            }
        }
        if let Err(error) = self.start.db.close().await {
            tracing::warn!(error = %error, "the database did not close cleanly");
        }
        drop(self.start.dir);
    }

    /// Waits until there is something to do; true when the engine stops.
    async fn wait(&mut self, group: &mut Group) -> bool {
        let sleep = self.until_next();
        let Start { inbox: Inbox { jobs, spent }, stop, .. } = &mut self.start;
        tokio::select! {
            biased;
            Some(job) = jobs.recv() => group.push(job),
            Some(more) = spent.recv() => self.spent.extend(more),
            () = tokio::time::sleep(sleep.unwrap_or_default()), if sleep.is_some() => {}
            () = stop.cancelled() => return true,
        }
        false
    }

    /// Whether what was dealt with needs a commit of its own.
    fn is_spent_long(&mut self, stopped: bool) -> bool {
        if self.spent.is_empty() {
            return false;
        }
        let now = Instant::now();
        let until = *self.spent_until.get_or_insert(now + SPENT_MAX);
        stopped || until <= now || !self.spent.parked.is_empty()
    }

    /// How long there is nothing to do by itself; `None` for ever.
    fn until_next(&self) -> Option<Duration> {
        if self.failing {
            return Some(PROBE_EVERY);
        }
        let spent = self.spent_until.map(|until| until.saturating_duration_since(Instant::now()));
        self.handed.until_next().into_iter().chain(spent).min()
    }

    /// Takes the acks that there are. Those of messages that were not written are all that their publishers wait for, if
    /// nothing is to be written in their place.
    fn gather_spent(&mut self, group: &mut Group) {
        while let Ok(more) = self.start.inbox.spent.try_recv() {
            self.spent.extend(more);
        }
        self.early.extend(self.spent.acked.extract_if(.., |id| group.has_given(*id)));
        let done = self.handed.settle(&mut self.spent.acked);
        if !self.spent.parked.is_empty() {
            return group.tell(done);
        }
        for done in done {
            // Whoever does not wait any more does not need the answer.
            let _ = done.send(Ok(()));
        }
    }

    /// One transaction, or two after a failure: room is made by what was acked, so that goes first. Gives the group that
    /// has begun meanwhile.
    async fn commit(&mut self, mut group: Group, may_give: bool) -> Group {
        if self.failing
            && let Err(fault) = self.probe().await
        {
            group.answer(Err(&fault));
            self.spent.acked.append(&mut self.early);
            return Group::default();
        }
        let (ended, next) = self.run_group(&mut group, may_give).await;
        match ended {
            Ok(outcome) => self.succeed(group, outcome),
            Err(fault) => self.fail(group, &fault).await,
        }
        self.spent.acked.append(&mut self.early);
        next
    }

    /// While the disk works, consumers that have nothing to do get what comes.
    async fn run_group(&mut self, group: &mut Group, may_give: bool) -> (Result<Outcome, Fault>, Group) {
        let Start { db, inbox: Inbox { jobs, .. }, dispatch, ids, lent, .. } = &mut self.start;
        let mut next = Group::new(group.number(ids, &mut self.spent));
        let may_give = may_give && group.len() <= FEW;
        let mut running = std::pin::pin!(group.run(db, lent, &mut self.spent));
        loop {
            tokio::select! {
                biased;
                ended = &mut running => return (ended, next),
                Some(job) = jobs.recv(), if may_give && next.has_room() => {
                    next.push(job);
                    if !next.is_flush() {
                        next.give(&mut self.handed, &dispatch.lots, ids);
                    }
                }
            }
        }
    }

    fn succeed(&mut self, group: Group, outcome: Outcome) {
        let jobs = group.len();
        self.start.committed.notify_one();
        self.start.tally.commits.fetch_add(1, Ordering::Relaxed);
        self.start.tally.jobs.fetch_add(jobs as u64, Ordering::Relaxed);
        metrics::counter!("whimbrel_sqlite_commits_total").increment(1);
        metrics::counter!("whimbrel_sqlite_jobs_total").increment(jobs as u64);
        outcome.dispatch(&self.start.dispatch);
        group.answer(Ok(()));
        self.set_failing(false);
    }

    async fn fail(&mut self, group: Group, fault: &Fault) {
        if !self.failing {
            tracing::error!(file = %self.start.file.display(), error = %fault, "a commit failed; publishers are held back until one works");
        }
        self.set_failing(true);
        self.roll_back().await;
        group.answer(Err(fault));
    }

    /// Leaves the transaction, if need be with a new connection.
    async fn roll_back(&mut self) {
        if sqlx::query("ROLLBACK").execute(&mut self.start.db).await.is_err()
            && let Ok(db) = SqliteConnection::connect_with(&self.start.reopen).await
        {
            self.start.db = db;
        }
    }

    /// Writes down what was acked, and tries whether there is room for more.
    async fn probe(&mut self) -> Result<(), Fault> {
        let tried = self.try_room().await;
        if tried.is_err() {
            self.roll_back().await;
            return tried;
        }
        tracing::info!("commits work again");
        self.set_failing(false);
        Ok(())
    }

    async fn try_room(&mut self) -> Result<(), Fault> {
        let Start { db, lent, .. } = &mut self.start;
        table::begin(db, &self.spent.acked, false).await?;
        table::commit(db, &[]).await?;
        lent.forget(&std::mem::take(&mut self.spent.acked));
        table::begin(db, &[], false).await?;
        table::take_room(db).await?;
        table::commit(db, &[]).await?;
        Ok(())
    }

    fn set_failing(&mut self, failing: bool) {
        self.failing = failing;
        self.start.dispatch.blocked.send_if_modified(|blocked| std::mem::replace(blocked, failing) != failing);
    }
}

impl Spent {
    fn is_empty(&self) -> bool {
        self.acked.is_empty() && self.parked.is_empty()
    }

    fn extend(&mut self, more: Self) {
        self.acked.extend(more.acked);
        self.parked.extend(more.parked);
    }
}
