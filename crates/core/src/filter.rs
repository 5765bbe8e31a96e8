//! An endpoint's payload filter: which of the events that it subscribes to it wants, by their data.
//!
//! A filter is a comparison of one field, or `all`, `any` or `not` of filters:
//!
//! ```json
//! {"all": [
//!   {"pointer": "/order/total", "op": "gt", "value": 100},
//!   {"not": {"pointer": "/order/country", "op": "in", "value": ["CH", "LI"]}}
//! ]}
//! ```
//!
//! `pointer` is a JSON Pointer (RFC 6901) into the event's data, and `op` one of
//!
//! | `op` | holds if the field | `value` |
//! |---|---|---|
//! | `eq` | is equal as JSON; numbers by their value, so that 1 is 1.0 | anything |
//! | `ne` | is not equal, or absent | anything |
//! | `in` | is equal to one of them | an array |
//! | `prefix` | is a string that starts so | a string |
//! | `exists` | is there, be it `null`; with `false`, is absent | a boolean, `true` if left out |
//! | `gt`, `gte`, `lt`, `lte` | is a number beyond a number, or a string beyond a string by code points | a number or a string |
//!
//! Of an absent field, and of one of another kind, only `ne`, `exists: false` and a `not` can hold.
//! Integers are compared exactly up to 64 bits, all other numbers as IEEE 754 doubles. Of a key that
//! stands twice in an object the last counts.

mod evaluate;
mod parse;
mod pointer;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Number, Value, json};

use self::pointer::Pointer;

/// The most comparisons in one filter.
pub const COMPARISONS_MAX: usize = 64;
/// How deep filters nest at most; a lone comparison is 1 deep.
pub const DEPTH_MAX: usize = 8;
/// The longest pointer of a comparison, in bytes.
pub const POINTER_BYTES_MAX: usize = 256;
/// The largest filter, in bytes of its compact JSON.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;

/// A filter within its bounds, ready to be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Condition);

/// Why a JSON value is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// JSON Pointer of the fault inside the filter; empty for the whole.
    pub pointer: String,
    /// What is wrong there, and what to do.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Compare { pointer: Pointer, test: Test },
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

/// What a comparison asks of its field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Equal(Value),
    NotEqual(Value),
    In(Vec<Value>),
    Prefix(String),
    Exists(bool),
    Order(Relation, Bound),
}

/// On which side of its bound a field must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    Number(Number),
    Text(String),
}

impl Filter {
    /// Reads a filter and checks its form and its bounds.
    pub fn parse(json: &Value) -> Result<Self, FilterError> {
        parse::filter(json)
    }

    /// Whether data that is already read matches; the main entry, as one event meets many filters.
    pub fn matches_value(&self, data: &Value) -> bool {
        self.0.holds(data)
    }

    /// Whether an event's raw data matches. Data that cannot be read, such as a number beyond a double's
    /// range, does not.
    pub fn matches(&self, data: &[u8]) -> bool {
        serde_json::from_slice(data).is_ok_and(|data| self.matches_value(&data))
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    /// With the check of [`Filter::parse`]; the error names the pointer.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(|FilterError { pointer, message }| {
            let place = if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") };
            D::Error::custom(format!("not a filter{place}: {message}"))
        })
    }
}

impl Condition {
    fn to_json(&self) -> Value {
        let list = |conditions: &[Self]| conditions.iter().map(Self::to_json).collect::<Value>();
        match self {
            Self::Compare { pointer, test } => {
                json!({"pointer": pointer.as_str(), "op": test.op(), "value": test.value()})
            }
            Self::All(conditions) => json!({"all": list(conditions)}),
            Self::Any(conditions) => json!({"any": list(conditions)}),
            Self::Not(condition) => json!({"not": condition.to_json()}),
        }
    }
}

impl Test {
    fn op(&self) -> &'static str {
        match self {
            Self::Equal(_) => "eq",
            Self::NotEqual(_) => "ne",
            Self::In(_) => "in",
            Self::Prefix(_) => "prefix",
            Self::Exists(_) => "exists",
            Self::Order(Relation::Greater, _) => "gt",
            Self::Order(Relation::GreaterOrEqual, _) => "gte",
            Self::Order(Relation::Less, _) => "lt",
            Self::Order(Relation::LessOrEqual, _) => "lte",
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Equal(value) | Self::NotEqual(value) => value.clone(),
            Self::In(values) => values.clone().into(),
            Self::Prefix(text) | Self::Order(_, Bound::Text(text)) => text.clone().into(),
            Self::Exists(expected) => (*expected).into(),
            Self::Order(_, Bound::Number(number)) => number.clone().into(),
        }
    }
}
