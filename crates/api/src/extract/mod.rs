//! What handlers take from a request. Each refusal is a problem document.

mod body;
mod id;
mod json;
mod no_body;
mod optional;
mod query;

pub(crate) use body::{media_type, read_body};
pub(crate) use id::Id;
pub(crate) use json::{ApiJson, decode, escape, nullable};
pub(crate) use no_body::NoBody;
pub(crate) use optional::OptionalJson;
pub(crate) use query::ApiQuery;
