//! Which event types an endpoint wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest event type or pattern, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// An event type in dot notation: segments of `A-Z a-z 0-9 _ -`, joined by dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(std::sync::Arc<str>);

/// Why a text is no event type or pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// Not an event type.
    #[error("`{0}` is not an event type: segments of letters, digits, _ and -, joined by dots, at most 128 bytes")]
    Type(String),
    /// Not a subscription pattern.
    #[error("`{0}` is not a subscription: an event type, a prefix such as `order.*`, or `*`")]
    Pattern(String),
}

impl EventType {
    /// Checks the form.
    pub fn try_new(text: &str) -> Result<Self, TypeError> {
        if is_type(text) { Ok(Self(text.into())) } else { Err(TypeError::Type(text.chars().take(160).collect())) }
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Whimbrel itself speaks: such events are outside every catalogue, and `*` does not match
    /// them (rule 11).
    pub fn is_system(&self) -> bool {
        self.0.starts_with("endpoint.") || matches!(&*self.0, "delivery.exhausted" | "webhook.test")
    }
}

fn is_type(text: &str) -> bool {
    let segment =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    text.len() <= EVENT_TYPE_BYTES_MAX && text.split('.').all(segment)
}

/// A subscription: an exact type, everything under a prefix, or everything.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `*`: every event but the system's own.
    All,
    /// `order.*`: every type below `order.`, at any depth. Of the system's own types only under `endpoint.*`.
    Under(String),
    /// `order.created`.
    Exact(EventType),
}

impl Pattern {
    /// Whether an event of this type is wanted.
    pub fn matches(&self, event_type: &EventType) -> bool {
        match self {
            Self::All => !event_type.is_system(),
            // Of the system's own types only `endpoint.*` is a prefix (rule 11): `delivery.*` and `webhook.*` are the
            // tenant's to use.
            Self::Under(prefix) => {
                (!event_type.is_system() || prefix == "endpoint")
                    && event_type.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
            Self::Exact(exact) => exact == event_type,
        }
    }
}

impl FromStr for Pattern {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let wrong = || TypeError::Pattern(text.chars().take(160).collect());
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(prefix) = text.strip_suffix(".*") {
            return is_type(prefix).then(|| Self::Under(prefix.to_owned())).ok_or_else(wrong);
        }
        EventType::try_new(text).map(Self::Exact).map_err(|_| wrong())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Under(prefix) => write!(f, "{prefix}.*"),
            Self::Exact(exact) => f.write_str(exact.as_str()),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EventType {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        Self::try_new(text)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::try_new(&text).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, event_type: &str) -> bool {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        pattern.matches(&EventType::try_new(event_type).expect("a type"))
    }

    #[test]
    fn exact_prefix_and_all() {
        assert!(matches("order.created", "order.created"));
        assert!(!matches("order.created", "order.created.v2"));
        assert!(matches("order.*", "order.created"));
        assert!(matches("order.*", "order.line.added"));
        assert!(!matches("order.*", "orders.created"));
        assert!(!matches("order.*", "order"));
        assert!(matches("*", "anything"));
    }

    #[test]
    fn rule_11_system_events_match_exactly_or_endpoint_star_never_star() {
        assert!(!matches("*", "endpoint.suspended"));
        assert!(!matches("*", "webhook.test"));
        assert!(matches("endpoint.*", "endpoint.suspended"));
        assert!(matches("webhook.test", "webhook.test"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", ".", "a..b", "*.created", "order.*.x", "order*", "a b", "é"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
