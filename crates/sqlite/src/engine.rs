//! Opening and closing: what the store's and the queue's side share.

use std::path::Path;
use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use whimbrel_core::port::{Clock, Parking, Queue, Store};
use whimbrel_core::sealing::KeyRing;

use crate::connect;
use crate::error::OpenError;
use crate::fault::Fault;
use crate::lock::DataDir;
use crate::queue::lent::Lent;
use crate::queue::lot::Bounds;
use crate::queue::{Dispatch, Promoter, SqliteParking, SqliteQueue, table};
use crate::store::SqliteStore;
use crate::writer::{self, Checkpointer, Start, Tally, Task, Writer};

/// What can be tuned. The defaults are meant for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// Messages of one source that are held in memory; what is more waits on disk.
    pub memory_messages_max: usize,
    /// Likewise in bytes.
    pub memory_bytes_max: usize,
    /// Connections that read.
    pub readers: u32,
    /// How large the database file may grow; without it until the disk is full.
    pub file_bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { memory_messages_max: 4096, memory_bytes_max: 64 * 1024 * 1024, readers: 4, file_bytes_max: None }
    }
}

/// An open data directory. It is let go when the engine and all that came from it are dropped, or when both
/// its sides are closed.
pub struct Engine {
    shared: Arc<Shared>,
    tally: Arc<Tally>,
}

/// What both sides use.
pub(crate) struct Shared {
    pub(crate) writer: Writer,
    pub(crate) reads: SqlitePool,
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) store_closed: CancellationToken,
    /// Held by who walks through parking.
    pub(crate) parking: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Engine {
    /// Takes the directory for this process, brings the schema up to date and starts the writer.
    pub async fn open(
        data_dir: &Path,
        options: Options,
        ring: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let dir = Arc::new(DataDir::hold(data_dir).await?);
        let file = dir.database()?;
        let mut db = connect::open(&file, options.file_bytes_max).await?;
        let damaged = |fault: Fault| match fault {
            Fault::Sql(error) => connect::refuse(&file, &error),
            other => OpenError::Damaged { path: file.clone(), reason: other.to_string() },
        };
        let (dispatch, ids) = look_around(&mut db, &options).await.map_err(damaged)?;
        let checkpoints = connect::checkpoints(&file).await?;
        let (writer, inbox) = writer::channel();
        let committed = Arc::new(Notify::new());
        let (stop, tally, dispatch) = (CancellationToken::new(), Arc::new(Tally::default()), Arc::new(dispatch));
        let (lent, reads) = (Arc::new(Lent::new()), connect::read_pool(&file, options.readers));
        let promoter = Promoter {
            reads: reads.clone(),
            writer: writer.clone(),
            dispatch: dispatch.clone(),
            lent: lent.clone(),
            opened_at: clock.now(),
            clock: clock.clone(),
            stop: stop.clone(),
        };
        let start = Start {
            db,
            reopen: connect::write_options(&file, options.file_bytes_max),
            file: file.clone(),
            inbox,
            dispatch: dispatch.clone(),
            ids,
            lent,
            stop: stop.clone(),
            tally: tally.clone(),
            committed: committed.clone(),
            dir: dir.clone(),
        };
        let tasks = TaskTracker::new();
        tasks.spawn(Task::new(start).run());
        tasks.spawn(promoter.run());
        tasks.spawn(Checkpointer { db: checkpoints, file: file.clone(), committed, stop: stop.clone(), dir }.run());
        tasks.close();
        let (store_closed, stop) = (CancellationToken::new(), stop.drop_guard());
        let parking = tokio::sync::Mutex::default();
        let shared = Shared { writer, reads, dispatch, clock, ring, store_closed, parking, tasks, stop };
        Ok(Self { shared: Arc::new(shared), tally })
    }

    /// The store's side.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore(self.shared.clone()))
    }

    /// The queue's side.
    pub fn queue(&self) -> Arc<dyn Queue> {
        Arc::new(SqliteQueue(self.shared.clone()))
    }

    /// What was parked.
    pub fn parking(&self) -> Arc<dyn Parking> {
        Arc::new(SqliteParking(self.shared.clone()))
    }

    /// What the writer has done.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

async fn look_around(
    db: &mut SqliteConnection,
    options: &Options,
) -> Result<(Dispatch, crate::queue::place::Ids), Fault> {
    let bounds = Bounds { messages: options.memory_messages_max.max(1), bytes: options.memory_bytes_max.max(1) };
    Ok(Dispatch::new(&table::survey(db).await?, bounds))
}

impl Shared {
    /// Closes one side: waits until what is under way is committed. When both are closed, the writer stops and
    /// the directory is let go.
    pub(crate) async fn close(&self, side: &CancellationToken) {
        if !side.is_cancelled() {
            side.cancel();
            self.writer.flush().await;
        }
        if self.store_closed.is_cancelled() && self.dispatch.closed.is_cancelled() {
            self.reads.close().await;
            self.stop.token().cancel();
            self.tasks.wait().await;
        }
    }
}
