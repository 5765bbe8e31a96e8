//! The store as each of its users sees it: one small trait per idea, and `Store` for all of them.
//!
//! Absent is `Ok(None)` or a missing entry. A method is one transaction unless it says otherwise.

mod audit;
mod intake;
mod ledger;
mod log;
mod lookup;
mod registry;
mod replays;
mod tenants;
mod transfer;
mod upkeep;

use async_trait::async_trait;

pub use audit::{Audit, AuditEntry, UsageRow};
pub use intake::{Accepted, Claim, Claimed, Fanout, Intake, Subscriptions};
pub use ledger::{Decide, Decision, DeliveryChange, EndpointFacts, Facts, Ledger, Suspended, ToPublish, Unannounced};
pub use log::{DeliveryFilter, EndpointStats, Log, Retried};
pub use lookup::Lookup;
pub use registry::{EndpointChange, Reencrypted, Registry, Updated};
pub use replays::{Advance, Forgotten, Replays};
pub use tenants::{ApiKey, EventTypeRow, Tenants};
pub use transfer::{LoggedDelivery, LoggedEvent, StoredKey, Transfer};
pub use upkeep::{EndpointCounts, Pruned, Upkeep};

use crate::id::EndpointId;
use crate::time::Timestamp;

/// Why a store operation did not work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It is away, busy or lost a race: the same call may work later.
    #[error("the store is away: {0}")]
    Away(String),
    /// The same call will never work: the rows or the statement are at fault.
    #[error("the store refused: {0}")]
    Refused(String),
    /// This endpoint's secret cannot be opened; the same call without it works (rule 31).
    #[error("{reason}")]
    Sealed {
        /// Whose secret.
        endpoint: EndpointId,
        /// Why, naming the key.
        reason: String,
    },
}

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// Only what comes after this one, in the list's order.
    pub after: Option<K>,
    /// At most so many.
    pub limit: u32,
}

/// A store engine.
#[async_trait]
pub trait Store:
    Intake + Lookup + Ledger + Replays + Upkeep + Tenants + Registry + Log + Audit + Transfer + 'static
{
    /// Whether it answers, and what its clock says: a database's own, the machine's when embedded (rule 36).
    async fn ping(&self) -> Result<Timestamp, StoreError>;

    /// Closes connections after what is under way.
    async fn close(&self);
}
