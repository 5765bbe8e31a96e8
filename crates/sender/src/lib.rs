#![doc = include_str!("../README.md")]

mod acks;
mod cache;
mod client;
pub mod egress;
mod failure;
mod finish;
mod flight;
mod gate;
mod headers;
mod headroom;
mod intake;
mod measure;
mod post;
mod retry_after;
mod sender;
mod span;
mod starts;
mod target;
#[cfg(test)]
mod testing;

pub use egress::EgressPolicy;
pub use sender::{Sender, SenderConfig, run};
