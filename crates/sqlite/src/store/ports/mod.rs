//! The port's traits, one file each.

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
