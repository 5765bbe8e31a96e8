//! The log in and out.

mod keys;
mod load;
mod page;

pub(super) use keys::{keys_page, load_keys};
pub(super) use load::load_log;
pub(super) use page::log_page;
