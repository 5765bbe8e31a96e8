//! What a filter says of one event's data.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::{Bound, Condition, Relation, Test};

impl Condition {
    pub(super) fn holds(&self, data: &Value) -> bool {
        match self {
            Self::Compare { pointer, test } => test.holds(pointer.find(data)),
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(data)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(data)),
            Self::Not(condition) => !condition.holds(data),
        }
    }
}

impl Test {
    fn holds(&self, field: Option<&Value>) -> bool {
        let Some(field) = field else {
            return matches!(self, Self::NotEqual(_) | Self::Exists(false));
        };
        match self {
            Self::Equal(value) => equal(field, value),
            Self::NotEqual(value) => !equal(field, value),
            Self::In(values) => values.iter().any(|value| equal(field, value)),
            Self::Prefix(prefix) => field.as_str().is_some_and(|text| text.starts_with(prefix)),
            Self::Exists(expected) => *expected,
            Self::Order(relation, bound) => bound.compared_with(field).is_some_and(|order| relation.admits(order)),
        }
    }
}

impl Relation {
    fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

impl Bound {
    /// How the field lies to the bound; `None` if they are of different kinds.
    fn compared_with(&self, field: &Value) -> Option<Ordering> {
        match (field, self) {
            (Value::Number(field), Self::Number(bound)) => compare(field, bound),
            // The order of UTF-8's bytes is the order of code points.
            (Value::String(field), Self::Text(bound)) => Some(field.as_str().cmp(bound)),
            _ => None,
        }
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

/// Exact between integers, which doubles would round beyond 2^53.
fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
