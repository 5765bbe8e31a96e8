//! The seams: what Whimbrel needs of a clock, a queue and a store. Two engines stand behind them,
//! held to one behaviour by the conformance suites.

mod clock;
mod parking;
mod queue;
mod store;

pub use clock::{Clock, SystemClock};
pub use parking::{Look, ParkedFate, Parking, ParkingError, WALK_MAX, Walk};
pub use queue::{
    Acker, Consumer, DepthRow, Lane, Message, Publisher, Queue, QueueError, Received, Route, Source, Tag, insist,
};
pub use store::{
    Accepted, Advance, ApiKey, Audit, AuditEntry, Claim, Claimed, Decide, Decision, DeliveryChange, DeliveryFilter,
    EndpointChange, EndpointCounts, EndpointFacts, EndpointStats, EventTypeRow, Facts, Fanout, Forgotten, Intake,
    Ledger, Log, LoggedDelivery, LoggedEvent, Lookup, Page, Pruned, Reencrypted, Registry, Replays, Retried, Store,
    StoreError, StoredKey, Subscriptions, Suspended, Tenants, ToPublish, Transfer, Unannounced, Updated, Upkeep,
    UsageRow,
};
