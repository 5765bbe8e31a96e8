//! Replays (rule 8): how they are kept, and how they take deliveries.

mod advance;
mod forgotten;
mod list;
mod rows;
mod start;
mod take;

pub(super) use advance::{Step, advance};
pub(super) use forgotten::forgotten;
pub(super) use list::{cancel, get, list, running};
pub(super) use start::start;
