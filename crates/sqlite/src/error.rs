//! Why the engine cannot start.

use std::path::PathBuf;

/// Why a data directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be made or written to.
    #[error("cannot use {} as data directory: {reason}; make it writable or name another in WHIMBREL_DATA_DIR", path.display())]
    Unusable {
        /// What was asked for.
        path: PathBuf,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// Another process holds it.
    #[error("the data directory {} is in use by another whimbrel; stop that one or name another in WHIMBREL_DATA_DIR", path.display())]
    Locked {
        /// What was asked for.
        path: PathBuf,
    },
    /// A newer binary wrote it.
    #[error("{} was written by a newer whimbrel (schema {found}, this one knows {known}); run that version or a later one", path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The newest schema of this binary.
        known: i64,
    },
    /// It is no database, or a broken one.
    #[error("{} is damaged: {reason}; restore it from a backup", path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// Anything else.
    #[error("cannot open {}: {reason}", path.display())]
    Failed {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}
