#![doc = include_str!("../README.md")]

mod admit;
mod directory;
mod fanout;
mod ingest;
mod read;

pub use ingest::{Ingest, run};
