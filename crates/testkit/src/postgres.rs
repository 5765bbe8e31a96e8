//! PostgreSQL for tests: [`database`] for most, a private [`Postgres`] for those that kill it.

mod account;
mod database;
mod server;

pub use database::{Database, database, psql};
pub use server::Postgres;
