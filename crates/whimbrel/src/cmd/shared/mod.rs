//! What several commands share.

mod client;
mod contract_args;
mod input;
mod paint;
mod signals;

pub(crate) use client::{ApiClient, ApiError};
pub(crate) use contract_args::ContractArgs;
pub(crate) use input::read_input;
pub(crate) use paint::Paint;
pub(crate) use signals::interrupted;
