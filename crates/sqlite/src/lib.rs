#![doc = include_str!("../README.md")]

mod batch;
mod connect;
mod engine;
mod error;
mod fault;
mod lock;
mod queue;
mod store;
mod writer;

pub use engine::{Engine, Options};
pub use error::OpenError;
pub use writer::Tally;
