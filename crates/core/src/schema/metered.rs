//! JSON that counts how often it is looked at, and runs dry.
//!
//! Alternatives that recur can make the validator look at the same data over and over, more often with
//! each level. It knows no limit, but it reads through a trait: once the meter is spent, arrays and
//! objects have no further content and it soon comes to an end. Its result then means nothing.

use std::borrow::Cow;
use std::cell::Cell;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, unique};
use serde_json::{Map, Number, Value, map};

/// How many values may still be looked at.
#[derive(Debug)]
pub(super) struct Meter(Cell<u32>);

impl Meter {
    /// At least one.
    pub(super) fn new(readings: u32) -> Self {
        Self(Cell::new(readings))
    }

    /// Whether a value may have been withheld.
    pub(super) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }

    fn take<T>(&self, value: T) -> Option<T> {
        self.0.set(self.0.get().saturating_sub(1));
        (!self.is_spent()).then_some(value)
    }
}

/// The representation for the validator.
pub(super) struct Metered;

/// A value and the meter that it counts on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    value: &'a Value,
    meter: &'a Meter,
}

impl<'a> Reading<'a> {
    pub(super) fn new(value: &'a Value, meter: &'a Meter) -> Self {
        Self { value, meter }
    }
}

impl Json for Metered {
    type Node<'a> = Reading<'a>;
    type PreparedKey = String;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Reading<'_>) -> T) -> T {
        f(Reading::new(&Value::from(string), &Meter::new(u32::MAX)))
    }
}

impl<'a> Node<'a, Metered> for Reading<'a> {
    type Object = Fields<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Fields<'a>> {
        self.value.as_object().map(|fields| Fields { fields, meter: self.meter })
    }

    fn as_array(&self) -> Option<Items<'a>> {
        self.value.as_array().map(|items| Items { items, meter: self.meter })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        self.value.as_str().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a Number> {
        self.value.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.value.as_bool()
    }

    fn is_null(&self) -> bool {
        self.value.is_null()
    }

    fn json_type(&self) -> JsonType {
        match self.value {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Borrowed(self.value)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.value).addr()))
    }
}

/// An object's fields.
pub(super) struct Fields<'a> {
    fields: &'a Map<String, Value>,
    meter: &'a Meter,
}

impl<'a> Object<'a, Metered> for Fields<'a> {
    type Node = Reading<'a>;
    type MemberName = &'a str;
    type MembersIter = FieldsIter<'a>;

    fn len(&self) -> usize {
        self.fields.len()
    }

    fn get(&self, key: &String) -> Option<Reading<'a>> {
        self.fields.get(key).and_then(|value| self.meter.take(Reading::new(value, self.meter)))
    }

    fn members(&self) -> FieldsIter<'a> {
        FieldsIter { fields: self.fields.iter(), meter: self.meter }
    }
}

/// Goes through an object's fields.
pub(super) struct FieldsIter<'a> {
    fields: map::Iter<'a>,
    meter: &'a Meter,
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, Reading<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.fields.next()?;
        self.meter.take((key.as_str(), Reading::new(value, self.meter)))
    }
}

/// An array's items.
pub(super) struct Items<'a> {
    items: &'a [Value],
    meter: &'a Meter,
}

impl<'a> Array<'a, Metered> for Items<'a> {
    type Node = Reading<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { items: self.items.iter(), meter: self.meter }
    }

    fn is_unique(&self) -> bool {
        unique::is_unique(self.items)
    }
}

/// Goes through an array's items.
pub(super) struct ItemsIter<'a> {
    items: std::slice::Iter<'a, Value>,
    meter: &'a Meter,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Reading<'a>;

    fn next(&mut self) -> Option<Reading<'a>> {
        self.items.next().and_then(|value| self.meter.take(Reading::new(value, self.meter)))
    }
}
