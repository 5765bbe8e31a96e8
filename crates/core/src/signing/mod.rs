//! Signing: an attempt → the headers that go with it, and back: headers → whether they hold.

mod headers;
#[cfg(test)]
mod tests;
mod verify;

pub use headers::{Signed, Signer};
pub use verify::{Keys, VerifyError, verify};
