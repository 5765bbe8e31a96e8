//! The embedded engine: both conformance suites, and what is its own.

mod common;
mod dispatch;
mod durability;
mod group_commit;
mod no_room;
mod opening;
mod queue_conformance;
mod store_conformance;
