//! Why something from outside was not accepted, in words for the one who sent it.

use std::borrow::Cow;

/// What was wrong with one piece of input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// A stable word: `unknown_tenant`, `unknown_type`, `oversize`, `not_json`, `schema`, `conflict`, …
    pub reason: &'static str,
    /// JSON Pointer of the field at fault; empty for the whole.
    pub pointer: Cow<'static, str>,
    /// What was wrong with which input, and what to do.
    pub message: String,
}

impl Rejection {
    /// A rejection of the field at `pointer`.
    pub fn new(reason: &'static str, pointer: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { reason, pointer: pointer.into(), message: message.into() }
    }
}
