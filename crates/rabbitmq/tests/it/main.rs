//! The engine on a real broker.

mod conformance;
mod definitions;
mod faults;
mod restarts;
mod rights;
mod support;
mod topology;
