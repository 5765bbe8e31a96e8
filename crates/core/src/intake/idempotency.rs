//! What makes a repeated event known as one (rule 6).

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::problem::Rejection;
use crate::subscription::EventType;

/// How long a key holds (rule 6).
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(7 * 24);

/// Bytes of a key, and of each part of a CloudEvent's, at most.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 1024;

/// The key under which an event is accepted once: equal keys mean the same event, over whichever way
/// they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyKey {
    /// The `Idempotency-Key` header, or AMQP's `message_id`.
    Plain(String),
    /// A CloudEvent's identity.
    CloudEvent {
        /// Who produced it.
        source: String,
        /// Unique within the source.
        id: String,
    },
}

impl IdempotencyKey {
    /// A key of one's own choice: 1 to 1024 bytes, none of them control characters.
    pub fn plain(text: &str) -> Result<Self, Rejection> {
        let usable = !text.is_empty() && text.len() <= IDEMPOTENCY_KEY_BYTES_MAX && !text.chars().any(char::is_control);
        let message = "the idempotency key must have 1 to 1024 bytes and no control characters";
        if usable { Ok(Self::Plain(text.to_owned())) } else { Err(Rejection::new("bad_key", "", message)) }
    }

    /// SHA-256 of the key. Parts go in with their lengths, so that no two keys run into one.
    pub fn hash(&self) -> [u8; 32] {
        match self {
            Self::Plain(key) => hash(&[b"key", key.as_bytes()]),
            Self::CloudEvent { source, id } => hash(&[b"cloudevent", source.as_bytes(), id.as_bytes()]),
        }
    }
}

/// SHA-256 of type and raw data: what must be the same under the same key.
pub fn content_hash(event_type: &EventType, data: &[u8]) -> [u8; 32] {
    hash(&[event_type.as_str().as_bytes(), data])
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let hasher = parts
        .iter()
        .fold(Sha256::new(), |hasher, part| hasher.chain_update((part.len() as u64).to_be_bytes()).chain_update(part));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_06_keys_and_contents_do_not_run_into_each_other() {
        let cloud = |source: &str, id: &str| IdempotencyKey::CloudEvent { source: source.into(), id: id.into() }.hash();
        assert_eq!(cloud("a", "bc"), cloud("a", "bc"));
        assert_ne!(cloud("a", "bc"), cloud("ab", "c"));
        assert_ne!(cloud("", "a"), IdempotencyKey::Plain("a".into()).hash());
        let content =
            |name: &str, data: &str| content_hash(&EventType::try_new(name).expect("a type"), data.as_bytes());
        assert_ne!(content("a.b", "1"), content("a.b", "1.0"));
        assert_ne!(content("a", "1"), content("b", "1"));
        assert_ne!(content("a", "11"), content("a1", "1"));
    }

    #[test]
    fn keys_are_bounded() {
        assert!(IdempotencyKey::plain(&"k".repeat(1024)).is_ok());
        for text in ["", "a\nb", &"k".repeat(1025)] {
            assert!(IdempotencyKey::plain(text).is_err(), "{text:?}");
        }
    }
}
