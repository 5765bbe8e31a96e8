//! How the file is opened: one connection that writes, a pool of those that only read.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};

use crate::error::OpenError;
use crate::fault::{self, Kind};

static MIGRATIONS: Migrator = sqlx::migrate!();

const PAGE_BYTES: u64 = 4096;

/// Pages in the write-ahead log (96 MiB) at which the writer moves them into the file itself, since the checkpoints
/// beside it do not keep up.
const CHECKPOINT_PAGES: &str = "24576";

/// Cache of the connection that writes, 4 MiB: it works at the ends of its tables. In a larger one it runs through more of
/// the processor's caches, and after pages were put in order a commit goes through all of it.
const WRITE_CACHE: &str = "-4096";

/// The options of the connection that writes. `file_bytes_max` bounds the file's growth.
pub(crate) fn write_options(path: &Path, file_bytes_max: Option<u64>) -> SqliteConnectOptions {
    let options = options(path)
        .page_size(4096)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("cache_size", WRITE_CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", "134217728");
    match file_bytes_max {
        Some(bytes) => options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string()),
        None => options,
    }
}

/// Connects for moving pages from the write-ahead log into the file, and for nothing else.
pub(crate) async fn checkpoints(path: &Path) -> Result<SqliteConnection, OpenError> {
    let options = options(path).synchronous(SqliteSynchronous::Full).pragma("wal_autocheckpoint", "0");
    SqliteConnection::connect_with(&options).await.map_err(|error| refuse(path, &error))
}

/// Up to `readers` connections that only read.
pub(crate) fn read_pool(path: &Path, readers: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(readers)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(
            options(path).read_only(true).pragma("cache_size", "-16384").pragma("mmap_size", "268435456"),
        )
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256)
        .pragma("temp_store", "memory")
        .disable_statement_logging()
}

/// Connects for writing and brings the schema up to date.
pub(crate) async fn open(path: &Path, file_bytes_max: Option<u64>) -> Result<SqliteConnection, OpenError> {
    let options = write_options(path, file_bytes_max);
    let mut db = SqliteConnection::connect_with(&options).await.map_err(|error| refuse(path, &error))?;
    match MIGRATIONS.run_direct(None, &mut db, false).await {
        Ok(()) => Ok(db),
        Err(MigrateError::VersionMissing(unknown)) => {
            let found = newest(&mut db).await.unwrap_or(unknown);
            let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
            Err(OpenError::Newer { path: path.to_owned(), found, known })
        }
        Err(MigrateError::Execute(error)) => Err(refuse(path, &error)),
        Err(error) => Err(OpenError::Failed { path: path.to_owned(), reason: error.to_string() }),
    }
}

/// The newest schema in the file: the first that is not known may be older.
async fn newest(db: &mut SqliteConnection) -> Option<i64> {
    sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(db).await.ok()
}

/// Says in an [`OpenError`] what SQLite said.
pub(crate) fn refuse(path: &Path, error: &sqlx::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match fault::kind(error) {
        Kind::Damaged => OpenError::Damaged { path, reason },
        Kind::Passing | Kind::Permanent => OpenError::Failed { path, reason },
    }
}
