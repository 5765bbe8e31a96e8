//! The one writer: group commit for the store and the queue.
//!
//! Calls, messages and acks come over channels. The writer takes whatever is ready, runs it in one transaction,
//! commits once and answers all. It never waits for more to come: while it commits, more does. Only what nobody waits for
//! does: acks wait a little for a commit that somebody needs, and a message that a consumer has before it is written for its
//! ack, which makes that unnecessary.

use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use whimbrel_core::port::{QueueError, StoreError};

use crate::queue::delayed::Due;
use crate::queue::stored::Outgoing;

mod call;
mod checkpoint;
mod group;
mod handed;
mod task;

pub(crate) use call::Step;
use call::{Call, Work};
pub(crate) use checkpoint::Checkpointer;
pub use task::Tally;
pub(crate) use task::{Start, Task};

/// Jobs that may wait for the writer before their callers do.
const JOBS_MAX: usize = 1024;

/// What the writer is asked for and answers.
enum Job {
    /// Statements of the store, on which the rest of the group does not depend.
    Call(Box<dyn Work>),
    /// Without messages the answer only says that all before it is committed.
    Publish(Publish),
    /// Delayed messages whose time has come and that find no room in memory.
    Relocate(Relocation),
}

/// Messages, and who is told when they are durable.
struct Publish {
    messages: Vec<Outgoing>,
    done: Done,
}

/// Messages to move to the ends of their lanes' stretches, and who is told when they are there.
struct Relocation {
    due: Vec<Due>,
    done: Done,
}

type Done = oneshot::Sender<Result<(), QueueError>>;

/// Messages that were dealt with: written down with the next commit, and tried again until one works.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    /// To delete.
    pub(crate) acked: Vec<i64>,
    /// To write in place of deleted ones: into parking, or back out of it.
    pub(crate) parked: Vec<Outgoing>,
}

/// A handle to the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// Unbounded, so that a drop can use it: it holds no more than what was delivered.
    spent: mpsc::UnboundedSender<Spent>,
}

/// The writer's end.
pub(crate) struct Inbox {
    jobs: mpsc::Receiver<Job>,
    spent: mpsc::UnboundedReceiver<Spent>,
}

/// Both ends.
pub(crate) fn channel() -> (Writer, Inbox) {
    let (jobs, jobs_end) = mpsc::channel(JOBS_MAX);
    let (spent, spent_end) = mpsc::unbounded_channel();
    (Writer { jobs, spent }, Inbox { jobs: jobs_end, spent: spent_end })
}

impl Writer {
    /// Runs statements in the next group and returns what they gave once it is committed. If they fail, only
    /// they are undone. A caller that is dropped changes nothing: what began is finished without it.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Step<'c, T> + Send + 'static,
    {
        let closed = || StoreError::Away("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let job = Job::Call(Box::new(Call::new(work, reply)));
        self.jobs.send(job).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes messages; returns when they are durable.
    pub(crate) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Publish(Publish { messages, done })).await.map_err(|_| QueueError::Closed)?;
        answer.await.unwrap_or(Err(QueueError::Closed))
    }

    /// Moves delayed messages to the ends of their lanes' stretches; returns when they are there.
    pub(crate) async fn relocate(&self, due: Vec<Due>) -> Result<(), QueueError> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Relocate(Relocation { due, done })).await.map_err(|_| QueueError::Closed)?;
        answer.await.unwrap_or(Err(QueueError::Closed))
    }

    /// Hands over what was dealt with, for the next commit.
    pub(crate) fn spend(&self, spent: Spent) {
        // The writer is only gone when the engine is closed: then the messages come again.
        let _ = self.spent.send(spent);
    }

    /// Returns when all that was handed over before is committed, or cannot be.
    pub(crate) async fn flush(&self) {
        if let Err(error) = self.publish(Vec::new()).await {
            tracing::warn!(%error, "the last acks are not written: their messages will come again");
        }
    }
}
