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
mod parking;
mod publisher;
mod queue;

pub use parking::RabbitParking;
pub use queue::{Options, RabbitQueue};
pub use topology::Topology;
