#![doc = include_str!("../README.md")]

pub mod bench;
pub mod floor;
pub mod load;
pub mod machine;
pub mod meter;
pub mod options;
pub mod process;
pub mod progress;
pub mod receiver;
pub mod report;
pub mod result;
pub mod round;
pub mod scenarios;
pub mod servers;
pub mod system;
