#![doc = include_str!("../README.md")]

mod audit;
mod erase;
mod fault;
mod indexes;
mod intake;
mod ledger;
mod log;
mod lookup;
mod open;
mod partitions;
mod registry;
mod replays;
mod rows;
mod schema;
mod tenants;
mod transfer;
mod trust;
mod upkeep;

pub use open::{OpenError, Options, PostgresStore};
