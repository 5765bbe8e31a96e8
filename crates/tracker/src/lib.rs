#![doc = include_str!("../README.md")]

mod announce;
mod duty;
mod fold;
mod parking;
mod publish;
mod replay;
mod settle;
mod span;
mod sweep;
mod upkeep;

pub use duty::{DutyConfig, run_duty};
pub use fold::{Folded, Planned, Rules, fold};
pub use settle::{Tracker, run};
