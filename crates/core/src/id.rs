//! Typed ids: UUIDs written as TypeIDs, a prefix and 26 characters of base32
//! (`evt_01jb3h2k9fe8yaw3cvj6s5n7qt`), so that an id says what it names and sorts by time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::Timestamp;

/// Crockford's alphabet in lower case, as TypeID 0.3 prescribes.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id of the form {prefix}_ followed by 26 base32 characters")]
pub struct IdError {
    /// What was given, cut to 64 characters.
    pub text: String,
    /// The prefix this kind of id has.
    pub prefix: &'static str,
}

/// The 26 characters of a UUID in TypeID's base32.
fn encode(uuid: Uuid) -> [u8; 26] {
    let mut rest = uuid.as_u128();
    let mut text = [0u8; 26];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    text
}

/// The reverse of [`encode`]; `None` for a wrong length, character or a value beyond 128 bits.
fn decode(text: &str) -> Option<Uuid> {
    let bytes = text.as_bytes();
    if bytes.len() != 26 || bytes[0] > b'7' {
        return None;
    }
    bytes
        .iter()
        .try_fold(0u128, |value, byte| {
            let digit = ALPHABET.iter().position(|letter| letter == byte)?;
            Some(value << 5 | digit as u128)
        })
        .map(Uuid::from_u128)
}

/// A version 7 UUID from a time and 10 random bytes.
fn v7(at: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: time-ordered, 74 random bits.
            pub fn generate(at: Timestamp, random: [u8; 10]) -> Self {
                Self(v7(at, random))
            }

            /// From a stored UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// From 16 stored bytes; an error for any other length.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, uuid::Error> {
                Uuid::from_slice(bytes).map(Self)
            }

            /// The UUID, for a store.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// When the id was made, to the millisecond.
            pub fn created_at(self) -> Timestamp {
                let millis = i64::try_from(self.0.as_u128() >> 80).unwrap_or(0);
                Timestamp::from_micros(millis * 1_000)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode(self.0);
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| IdError { text: text.chars().take(64).collect(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// An event as its publisher knows it. The receiver's deduplication key.
    EventId, "evt"
);
typed_id!(
    /// A subscribed address of a tenant. The API calls it a webhook.
    EndpointId, "hook"
);
typed_id!(
    /// One event on its way to one endpoint.
    DeliveryId, "del"
);
typed_id!(
    /// An API key.
    KeyId, "key"
);
typed_id!(
    /// One POST that was made: whatever is repeated after a crash carries the same execution id,
    /// and a second POST for the same attempt carries another (rule 2).
    ExecutionId, "exe"
);
typed_id!(
    /// A message on the queue, holding one or more jobs or outcomes.
    PackId, "pack"
);

typed_id!(
    /// A replay, a release or a drop of an endpoint's deliveries.
    ReplayId, "rpl"
);
typed_id!(
    /// An entry of the audit log.
    AuditId, "aud"
);

typed_id!(
    /// A message that lies in parking. Made from what the message holds, so two that are the same have one id.
    ParkedId, "prk"
);

impl ParkedId {
    /// The same for the same parts in the same order.
    pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(Uuid::from_bytes(bytes))
    }
}

impl EventId {
    /// The id of an event that Whimbrel itself speaks of: always the same for the same cause, so that saying it
    /// again makes no second event (rule 11). `at` is when it happened, and must be the same each time too.
    pub fn of_cause(at: Timestamp, cause: &str) -> Self {
        let hash = Sha256::digest(cause.as_bytes());
        let mut random = [0u8; 10];
        random.copy_from_slice(&hash[..10]);
        Self(v7(at, random))
    }

    /// The lowest id of this time or later.
    pub fn first_at(at: Timestamp) -> Self {
        Self(DeliveryId::first_at(at).uuid())
    }

    /// The lowest and the highest id that a delivery of this event can have: they share its millisecond.
    pub fn delivery_range(self) -> (Uuid, Uuid) {
        let rest = u128::MAX >> 48;
        (Uuid::from_u128(self.0.as_u128() & !rest), Uuid::from_u128(self.0.as_u128() | rest))
    }
}

impl DeliveryId {
    /// The lowest id of this time or later.
    pub fn first_at(at: Timestamp) -> Self {
        let millis = u128::try_from(at.as_micros().max(0)).unwrap_or(0).div_ceil(1_000);
        Self(Uuid::from_u128(millis.min(u128::MAX >> 80) << 80))
    }

    /// The delivery of `event` to `endpoint`: always the same id for the same pair, so that a repeated
    /// fan-out meets its own rows (rule 1), with the event's time in front, so that both fall into the
    /// same day's partition.
    pub fn of(event: EventId, endpoint: EndpointId) -> Self {
        let hash = Sha256::new().chain_update(event.0.as_bytes()).chain_update(endpoint.0.as_bytes()).finalize();
        let mut random = [0u8; 10];
        random.copy_from_slice(&hash[..10]);
        Self(v7(event.created_at(), random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typeid_vectors() {
        // The published vectors of TypeID 0.3 (nil, one, ten, sixteen, thirty-two, max, valid-uuidv7).
        let vectors = [
            (Uuid::nil(), "00000000000000000000000000"),
            (Uuid::from_u128(1), "00000000000000000000000001"),
            (Uuid::from_u128(10), "0000000000000000000000000a"),
            (Uuid::from_u128(16), "0000000000000000000000000g"),
            (Uuid::from_u128(32), "00000000000000000000000010"),
            (Uuid::max(), "7zzzzzzzzzzzzzzzzzzzzzzzzz"),
            (Uuid::from_u128(0x0189_0a5d_ac96_774b_bcce_b302_099a_8057), "01h455vb4pex5vsknk084sn02q"),
        ];
        for (uuid, text) in vectors {
            assert_eq!(std::str::from_utf8(&encode(uuid)).expect("base32 is ASCII"), text);
            assert_eq!(decode(text), Some(uuid));
        }
    }

    #[test]
    fn what_is_no_id_is_refused_with_its_form() {
        for text in [
            "",
            "evt_",
            "evt_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "hook_00000000000000000000000000",
            "evt_0000000000000000000000000l",
            "evt_é",
        ] {
            let error = text.parse::<EventId>().expect_err("no id");
            assert!(error.to_string().contains("evt_"), "{error}");
        }
    }

    #[test]
    fn rule_01_delivery_id_is_derived_and_keeps_the_events_time() {
        let at = Timestamp::from_micros(1_767_225_600_123_000);
        let event = EventId::generate(at, [7; 10]);
        let endpoint = EndpointId::generate(Timestamp::from_secs(1), [9; 10]);
        let delivery = DeliveryId::of(event, endpoint);
        assert_eq!(delivery, DeliveryId::of(event, endpoint));
        assert_eq!(delivery.created_at(), at);
        assert_ne!(delivery, DeliveryId::of(event, EndpointId::generate(at, [9; 10])));
        assert_eq!(delivery.to_string().parse(), Ok(delivery));
    }
}
