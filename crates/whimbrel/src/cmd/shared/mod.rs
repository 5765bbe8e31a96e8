//! What several commands share.

mod client;
mod contract_args;
mod input;
mod paint;
mod samples;
mod server_args;
mod signals;
mod store;
mod verifier;
mod words;

pub(crate) use client::ApiClient;
pub(crate) use contract_args::{ContractsDirArgs, named};
pub(crate) use input::read_input;
pub(crate) use paint::Paint;
pub(crate) use samples::{sample, samples};
pub(crate) use server_args::ServerArgs;
pub(crate) use signals::interrupted;
pub(crate) use store::{open_keyless, open_store};
pub(crate) use verifier::{Verifier, VerifierArgs};
pub(crate) use words::{brief, bytes, clock_time, count, elapsed};
