//! Why something from outside was not accepted, in words for the one who sent it.

/// What was wrong with one piece of input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// A stable word: `unknown_tenant`, `unknown_type`, `oversize`, `not_json`, `conflict`, …
    pub reason: &'static str,
    /// JSON Pointer of the field at fault; empty for the whole.
    pub pointer: &'static str,
    /// What was wrong with which input, and what to do.
    pub message: String,
}

impl Rejection {
    /// A rejection of the field at `pointer`.
    pub fn new(reason: &'static str, pointer: &'static str, message: impl Into<String>) -> Self {
        Self { reason, pointer, message: message.into() }
    }
}
