//! What the tracker does by the clock so that the store stays healthy.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::time::Timestamp;

/// A step of retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Days dropped on PostgreSQL, events deleted on SQLite.
    pub removed: u64,
    /// Whether there is more to remove: call again.
    pub more: bool,
}

/// How many endpoints there are, of all tenants, by the word of their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointCounts {
    /// Deliveries go out.
    pub active: u64,
    /// Stopped by Whimbrel.
    pub suspended: u64,
    /// Stopped by their owners.
    pub disabled: u64,
}

/// Leases, partitions, retention, erasure, counts.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Takes or renews the lease `name` for `ttl` on the store's own clock. False while another holder's has not
    /// expired (rule 18).
    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease up, if this holder has it.
    async fn release_lease(&self, name: &str, holder: Uuid) -> Result<(), StoreError>;

    /// Makes the partitions of the coming days; nothing to do on SQLite (rule 27).
    async fn prepare_days(&self) -> Result<(), StoreError>;

    /// Makes up to `limit` deliveries of events accepted before `before` that are not at their end failed(expired);
    /// says how many there were (rule 28).
    async fn expire(&self, before: Timestamp, now: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Removes events, deliveries and attempts that are older than `before`: one whole day on PostgreSQL (detached
    /// concurrently, then dropped), up to 500 events on SQLite. Then ended replays and used-up idempotency keys, and audit
    /// entries older than a year, in bounded chunks. A PostgreSQL role that does not own the tables is `Refused`, with
    /// what to do.
    async fn prune(&self, before: Timestamp, now: Timestamp) -> Result<Pruned, StoreError>;

    /// Erases the payloads of up to `limit` events of tenants that asked for it; 0 when there is nothing to do.
    async fn erase_step(&self, limit: u32) -> Result<u64, StoreError>;

    /// Counts the endpoints that there are now.
    async fn count_endpoints(&self) -> Result<EndpointCounts, StoreError>;

    /// Counts the usage of the UTC day in which `day` lies, for every tenant, and stores it in place of an earlier
    /// count.
    async fn count_usage(&self, day: Timestamp) -> Result<(), StoreError>;
}
