//! Moving what was committed from the write-ahead log into the file, beside the writer.
//!
//! The writer's own checkpoint stalls a commit, and whoever waits for it, until the file is synced. So another
//! connection does most of it; the writer keeps a bound of its own, for when this one cannot keep up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::lock::DataDir;

/// From a commit to the look at the log.
const EVERY: Duration = Duration::from_millis(250);

/// Pages in the log that are worth a checkpoint (32 MiB): what is written again meanwhile is moved once.
const PAGES_MIN: i64 = 8192;

/// A connection that only moves pages.
pub(crate) struct Checkpointer {
    pub(crate) db: SqliteConnection,
    pub(crate) file: PathBuf,
    /// Told of every commit.
    pub(crate) committed: Arc<Notify>,
    pub(crate) stop: CancellationToken,
    /// Held until the last statement is done.
    pub(crate) dir: Arc<DataDir>,
}

impl Checkpointer {
    /// Follows the writer until the engine is closed or dropped. What is left then is moved by the connection
    /// that closes last.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        while stop.run_until_cancelled(self.wait()).await.is_some() {
            self.checkpoint().await;
        }
        if let Err(error) = self.db.close().await {
            tracing::warn!(error = %error, "the checkpoints' connection did not close cleanly");
        }
        drop(self.dir);
    }

    async fn wait(&self) {
        self.committed.notified().await;
        tokio::time::sleep(EVERY).await;
    }

    /// On an error all stays in the log, which is just as durable, and the next commit has it tried again.
    async fn checkpoint(&mut self) {
        if let Err(error) = self.move_pages().await {
            tracing::warn!(file = %self.file.display(), error = %error, "a checkpoint failed, trying again");
        }
    }

    /// Moves what nobody reads in the log any more, without waiting for anybody.
    async fn move_pages(&mut self) -> Result<(), sqlx::Error> {
        let (_, logged, moved): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(NOOP)").fetch_one(&mut self.db).await?;
        if logged - moved >= PAGES_MIN {
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.db).await?;
        }
        Ok(())
    }
}
