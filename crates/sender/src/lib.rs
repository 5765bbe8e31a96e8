#![doc = include_str!("../README.md")]

mod cache;
mod client;
pub mod egress;
mod finish;
mod flight;
mod gate;
mod intake;
mod post;
mod sender;

pub use egress::EgressPolicy;
pub use sender::{Sender, SenderConfig, run};
