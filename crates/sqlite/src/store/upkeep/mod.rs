//! What is done by the clock.

mod endpoints;
mod erasure;
mod expire;
mod lease;
mod prune;
mod usage;

pub(super) use endpoints::count_endpoints;
pub(super) use erasure::erase_step;
pub(super) use expire::expire;
pub(super) use lease::{lease, release};
pub(super) use prune::prune;
pub(super) use usage::count;
