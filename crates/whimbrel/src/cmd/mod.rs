//! The commands, one module each.

pub(crate) mod contracts;
pub(crate) mod demo;
pub(crate) mod listen;
pub(crate) mod migrate;
pub(crate) mod parking;
pub(crate) mod prune;
pub(crate) mod secrets;
pub(crate) mod send;
pub(crate) mod serve;
mod shared;
pub(crate) mod topology;
pub(crate) mod transfer;
pub(crate) mod verify;
