//! The embedded engine: both conformance suites, and what is its own.

mod common;
mod delays;
mod dispatch;
mod durability;
mod group_commit;
mod handing_over;
mod no_room;
mod opening;
mod queue_conformance;
mod replaying;
mod store_conformance;
mod upgrading;
mod upkeep;
