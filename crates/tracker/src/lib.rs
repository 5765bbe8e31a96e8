#![doc = include_str!("../README.md")]

mod duty;
mod fold;
mod publish;
mod settle;

pub use duty::{DutyConfig, run_duty};
pub use fold::{Folded, Planned, fold};
pub use settle::{Tracker, run};
