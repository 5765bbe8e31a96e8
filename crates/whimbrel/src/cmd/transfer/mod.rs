//! `whimbrel export` and `whimbrel import`: everything that one engine keeps, moved to another as JSON Lines.

mod base64;
mod drain;
mod event;
mod export;
mod import;
mod line;
mod owned;

pub(crate) use export::{ExportArgs, run as export};
pub(crate) use import::{ImportArgs, run as import};

/// Rows of one kind read at once.
const PAGE: u32 = 200;
