#![doc = include_str!("../README.md")]

mod fault;
mod intake;
mod ledger;
mod log;
mod lookup;
mod open;
mod partitions;
mod registry;
mod rows;
mod tenants;

pub use open::{OpenError, Options, PostgresStore};
