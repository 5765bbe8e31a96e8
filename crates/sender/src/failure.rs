//! Why there was no answer.

use std::error::Error;

use whimbrel_core::outcome::ErrorKind;

/// What went wrong with a POST, or why there can be none, as its attempt is logged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// No connection could be made.
    pub(crate) fn connect(error: &(dyn Error + 'static)) -> Self {
        Self::of(error, ErrorKind::Connect)
    }

    /// The connection broke, or what came over it was no HTTP.
    pub(crate) fn exchange(error: &(dyn Error + 'static)) -> Self {
        Self::of(error, ErrorKind::Protocol)
    }

    /// A new connection was closed before the request could be written.
    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Protocol, "the connection was closed before the request was sent")
    }

    /// The innermost error says most; ours and TLS's have kinds of their own.
    fn of(error: &(dyn Error + 'static), otherwise: ErrorKind) -> Self {
        let mut innermost = error.to_string();
        let mut next = Some(error);
        while let Some(current) = next {
            if let Some(failure) = current.downcast_ref::<Self>() {
                return failure.clone();
            }
            if let Some(message) = tls_error(current) {
                return Self::new(ErrorKind::Tls, message);
            }
            innermost = current.to_string();
            next = current.source();
        }
        Self::new(otherwise, innermost)
    }
}

/// rustls errors arrive inside `io::Error`s, whose inner error is no `source` of theirs.
fn tls_error(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls.to_string());
    }
    tls_error(error.downcast_ref::<std::io::Error>()?.get_ref()?)
}
