//! One process per data directory, for as long as it lives: an operating-system lock, which a crash lifts.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::OpenError;

/// How often and how long an engine that is just stopping is waited for.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// A data directory held by this process until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory (0700) where there is none, and locks it.
    pub(crate) async fn hold(path: &Path) -> Result<Self, OpenError> {
        let unusable = |reason| OpenError::Unusable { path: path.to_owned(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let lock = private_file(&path.join("whimbrel.lock")).map_err(unusable)?;
        for _ in 0..TRIES {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: lock }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(TryLockError::Error(reason)) => return Err(unusable(reason)),
            }
        }
        Err(OpenError::Locked { path: path.to_owned() })
    }

    /// The database file, made (0600) where there is none; SQLite gives its companions the same mode.
    pub(crate) fn database(&self) -> Result<PathBuf, OpenError> {
        let file = self.path.join("whimbrel.db");
        private_file(&file).map_err(|reason| OpenError::Unusable { path: self.path.clone(), reason })?;
        Ok(file)
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
