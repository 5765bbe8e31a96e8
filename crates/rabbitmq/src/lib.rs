#![doc = include_str!("../README.md")]

pub mod permissions;
pub mod topology;

mod acker;
mod address;
mod backoff;
mod connection;
mod consumer;
mod envelope;
mod fault;
mod publisher;
mod queue;

pub use queue::{Options, RabbitQueue};
pub use topology::Topology;
