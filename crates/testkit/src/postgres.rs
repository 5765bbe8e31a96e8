//! PostgreSQL for tests: [`database`] for most, a private [`Postgres`] for those that kill it.

mod account;
mod backup;
mod database;
mod server;

pub use backup::{dump, dump_plain, restore};
pub use database::{Database, database, psql};
pub use server::Postgres;
