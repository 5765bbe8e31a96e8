//! What PostgreSQL said → whether the same call may work later.

use whimbrel_core::port::StoreError;
use whimbrel_core::sealing::SealError;

/// Whatever can go wrong within a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("a stored row cannot be read: {0}")]
    Row(String),
    #[error("{0}")]
    Race(&'static str),
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Sql(error) if is_passing(error) => Self::Away(error.to_string()),
            Fault::Race(lost) => Self::Away((*lost).to_owned()),
            Fault::Seal(error) => match error.endpoint() {
                Some(endpoint) => Self::Sealed { endpoint, reason: error.to_string() },
                None => Self::Refused(error.to_string()),
            },
            _ => Self::Refused(fault.to_string()),
        }
    }
}

/// Connections, locks, restarts and lost races pass; statements and rows at fault do not.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_none_or(|code| is_passing_code(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Classes 08 (connection), 25 and 40 (transaction), 53 (resources), 55 (locks), 57 (operator), 58 (system); wrong
/// credentials and a missing database, which an operator mends while we wait; a missing partition, which is
/// made on demand.
fn is_passing_code(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "25" | "40" | "53" | "55" | "57" | "58" | "28" | "3D")
}

/// Whether an insert met a row that was there.
pub(crate) fn is_repeat(fault: &Fault) -> bool {
    matches!(fault, Fault::Sql(sqlx::Error::Database(database)) if database.is_unique_violation())
}

/// Whether an insert found no partition for its row.
pub(crate) fn is_missing_partition(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    database.code().as_deref() == Some("23514") && database.message().contains("no partition")
}
