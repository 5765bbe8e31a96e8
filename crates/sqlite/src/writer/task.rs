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
use whimbrel_core::Timestamp;
use whimbrel_core::port::Clock;

use super::group::{Group, Outcome};
use super::handed::Handed;
use super::{Inbox, Spent};
use crate::fault::Fault;
use crate::lock::DataDir;
use crate::queue::place::Ids;
use crate::queue::promote::{Lent, PROMOTED_MAX};
use crate::queue::{Dispatch, table};

/// The longest sleep towards a due time, so that a step of the wall clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

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
    pub(crate) lent: Lent,
    pub(crate) clock: Arc<dyn Clock>,
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
    /// With consumers, and not written.
    handed: Handed,
    next_due: Option<Timestamp>,
    failing: bool,
}

impl Task {
    /// Ready to run.
    pub(crate) async fn new(mut start: Start) -> Result<Self, Fault> {
        let next_due = start.lent.next_due(&mut start.db).await?;
        let (spent, handed) = (Spent::default(), Handed::default());
        Ok(Self { start, spent, spent_until: None, handed, next_due, failing: false })
    }

    /// Commits group after group until the engine is closed or dropped, and then what is left.
    pub(crate) async fn run(mut self) {
        loop {
            let mut group = Group::default();
            let stopped = self.wait(&mut group).await;
            if stopped {
                self.start.inbox.jobs.close();
            }
            group.fill(&mut self.start.inbox);
            self.gather_spent(&mut group);
            group.hand_over(&mut self.handed, &mut self.start, !stopped && !self.failing);
            let is_wanted = group.len() > 0 || self.is_due() || self.is_spent_long(stopped);
            if is_wanted || self.failing {
                self.commit(group).await;
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
        let due = self.next_due.map(|due| due.since(self.start.clock.now()).min(SLEEP_MAX));
        if self.failing {
            return Some(due.map_or(PROBE_EVERY, |due| due.max(PROBE_EVERY)));
        }
        let spent = self.spent_until.map(|until| until.saturating_duration_since(Instant::now()));
        due.into_iter().chain(self.handed.until_next()).chain(spent).min()
    }

    fn is_due(&self) -> bool {
        self.next_due.is_some_and(|due| due <= self.start.clock.now())
    }

    /// Takes the acks that there are. Those of messages that were not written are all that their publishers wait for, if
    /// nothing is to be written in their place.
    fn gather_spent(&mut self, group: &mut Group) {
        while let Ok(more) = self.start.inbox.spent.try_recv() {
            self.spent.extend(more);
        }
        let done = self.handed.settle(&mut self.spent.acked);
        if !self.spent.parked.is_empty() {
            return group.tell(done);
        }
        for done in done {
            // Whoever does not wait any more does not need the answer.
            let _ = done.send(Ok(()));
        }
    }

    /// One transaction, or two after a failure: room is made by what was acked, so that goes first.
    async fn commit(&mut self, mut group: Group) {
        if self.failing
            && let Err(fault) = self.probe().await
        {
            group.answer(Err(&fault));
            return;
        }
        let promote_at = self.is_due().then(|| self.start.clock.now());
        match group.run(&mut self.start, &mut self.spent, promote_at).await {
            Ok(outcome) => self.succeed(group, outcome, promote_at).await,
            Err(fault) => self.fail(group, &fault).await,
        }
    }

    async fn succeed(&mut self, group: Group, outcome: Outcome, promote_at: Option<Timestamp>) {
        let jobs = group.len();
        self.start.committed.notify_one();
        self.start.tally.commits.fetch_add(1, Ordering::Relaxed);
        self.start.tally.jobs.fetch_add(jobs as u64, Ordering::Relaxed);
        metrics::counter!("whimbrel_sqlite_commits_total").increment(1);
        metrics::counter!("whimbrel_sqlite_jobs_total").increment(jobs as u64);
        let (due, promoted) = (outcome.first_due(), outcome.promoted());
        outcome.dispatch(&self.start.dispatch);
        group.answer(Ok(()));
        self.set_failing(false);
        match promote_at {
            // As many as one group takes: there may be more.
            Some(_) if promoted == PROMOTED_MAX => {}
            Some(_) => self.next_due = self.read_next_due().await,
            None => self.next_due = self.next_due.into_iter().chain(due).min(),
        }
    }

    /// On an error: look again soon.
    async fn read_next_due(&mut self) -> Option<Timestamp> {
        self.start.lent.next_due(&mut self.start.db).await.unwrap_or_else(|fault| {
            tracing::error!(error = %fault, "cannot read when the next delayed message is due");
            Some(self.start.clock.now() + SLEEP_MAX)
        })
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
        table::begin(db, &self.spent.acked).await?;
        table::commit(db, &[]).await?;
        lent.forget(&std::mem::take(&mut self.spent.acked));
        table::begin(db, &[]).await?;
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
