#![doc = include_str!("../README.md")]

mod admit;
mod batch;
mod budget;
mod directory;
mod fanout;
mod ingest;
mod publishers;
mod read;
mod roster;
mod span;
mod storing;
mod unpack;

pub use ingest::{Ingest, run};
pub use publishers::Publishers;
