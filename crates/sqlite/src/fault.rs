//! What goes wrong inside, and what the ports say of it.

use whimbrel_core::port::{QueueError, StoreError};
use whimbrel_core::sealing::SealError;

/// Why a piece of work failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// SQLite said so.
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    /// A stored row holds what this version cannot read.
    #[error("{0}")]
    Row(String),
    /// A stored secret cannot be opened: waits for the key, never fails deliveries (rule 31).
    #[error("{0}")]
    Seal(#[from] SealError),
    /// Whoever was to decide within the transaction is gone.
    #[error("the caller left before it had decided")]
    Undecided,
}

/// What can be done about an SQLite error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The same may work later: busy, no room, an I/O error.
    Passing,
    /// The statement or the row is at fault.
    Permanent,
    /// The file is.
    Damaged,
}

/// Sorts an SQLite error by its primary result code.
pub(crate) fn kind(error: &sqlx::Error) -> Kind {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Kind::Passing
            }
            _ => Kind::Permanent,
        };
    };
    let code: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    match code & 0xff {
        // ERROR, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE
        1 | 18 | 19 | 20 | 21 | 25 => Kind::Permanent,
        // CORRUPT, NOTADB
        11 | 26 => Kind::Damaged,
        // PERM, ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, …
        _ => Kind::Passing,
    }
}

impl Fault {
    /// Whether the fault lies with the file or the machine, so that nothing else in the transaction can
    /// be trusted to work either.
    pub(crate) fn is_of_the_engine(&self) -> bool {
        matches!(self, Self::Sql(error) if kind(error) != Kind::Permanent)
    }

    /// Whether a row that was to be new is there already. The statement changed nothing then.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// For the store's callers.
    pub(crate) fn to_store(&self) -> StoreError {
        match self {
            Self::Sql(error) if kind(error) == Kind::Permanent => StoreError::Refused(self.to_string()),
            Self::Row(_) => StoreError::Refused(self.to_string()),
            Self::Seal(error) => match error.endpoint() {
                Some(endpoint) => StoreError::Sealed { endpoint, reason: error.to_string() },
                None => StoreError::Refused(error.to_string()),
            },
            // A damaged file may be restored; to refuse would park the messages at hand.
            Self::Sql(_) | Self::Undecided => StoreError::Away(self.to_string()),
        }
    }

    /// For the queue's callers.
    pub(crate) fn to_queue(&self) -> QueueError {
        match self {
            Self::Sql(error) if kind(error) == Kind::Damaged => {
                QueueError::Fatal(format!("the queue's file is damaged: {self}"))
            }
            _ => QueueError::Away(self.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.to_store()
    }
}

impl From<Fault> for QueueError {
    fn from(fault: Fault) -> Self {
        fault.to_queue()
    }
}
