//! API keys: `whk_` and 52 characters of base32, kept as their SHA-256 only.

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use whimbrel_core::port::Clock;

const PREFIX: &str = "whk_";

/// A new key with 256 random bits.
pub fn generate(clock: &dyn Clock) -> String {
    let mut bytes = [0; 32];
    clock.fill(&mut bytes);
    format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// What is kept of a key.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Whether two hashes are the same, in a time that does not depend on where they differ.
pub(crate) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use whimbrel_core::port::SystemClock;

    use super::*;

    #[test]
    fn keys_are_random_and_long() {
        let (one, other) = (generate(&SystemClock), generate(&SystemClock));
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 52);
        assert!(one.starts_with(PREFIX));
        assert!(same(&hash(&one), &hash(&one)));
        assert!(!same(&hash(&one), &hash(&other)));
    }
}
