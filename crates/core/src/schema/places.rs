//! Where schemas stand in a schema document, and by which names references reach them.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use super::SchemaError;

/// Where a document without `$id` stands, by the compiler's convention.
const BASE: &str = "json-schema:///";

/// Keywords with one schema, with a list of schemas, and with schemas by name.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const NAMED: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];

/// One schema that is an object.
#[derive(Debug)]
pub(super) struct Place<'s> {
    /// JSON Pointer.
    pub(super) at: String,
    /// What its references are relative to.
    pub(super) base: Url,
    pub(super) keywords: &'s Map<String, Value>,
}

/// Every schema of a document that is an object, outer ones first.
#[derive(Debug)]
pub(super) struct Places<'s> {
    root: &'s Value,
    pub(super) list: Vec<Place<'s>>,
    by_pointer: HashMap<String, usize>,
    /// By `$id`; also the root.
    documents: HashMap<Url, usize>,
    /// By document and `$anchor` or `$dynamicAnchor`.
    anchors: HashMap<(Url, String), usize>,
}

/// Where a reference leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Place(usize),
    /// `true` or `false`.
    Constant,
    /// A place of this document where no schema stands.
    Nothing,
    Outside,
}

impl<'s> Places<'s> {
    pub(super) fn of(root: &'s Value) -> Result<Self, SchemaError> {
        let base = Url::parse(BASE).expect("the convention is a URL");
        let mut places = Self {
            root,
            list: Vec::new(),
            by_pointer: HashMap::new(),
            documents: HashMap::from([(base.clone(), 0)]),
            anchors: HashMap::new(),
        };
        places.add(root, "", &base)?;
        Ok(places)
    }

    /// The place at `pointer`, if a schema that is an object stands there.
    pub(super) fn at(&self, pointer: &str) -> Option<usize> {
        self.by_pointer.get(pointer).copied()
    }

    /// The places that a `$dynamicRef` to this anchor may lead to.
    pub(super) fn anchored<'p>(&'p self, name: &'p str) -> impl Iterator<Item = usize> + 'p {
        self.anchors.iter().filter(move |((_, anchor), _)| anchor == name).map(|(_, place)| *place)
    }

    /// Where a reference that stands in a document with this base leads.
    pub(super) fn resolve(&self, base: &Url, reference: &str) -> Target {
        let Ok(url) = base.join(reference) else { return Target::Outside };
        let fragment = percent_decode_str(url.fragment().unwrap_or_default()).decode_utf8_lossy().into_owned();
        let url = without_fragment(url);
        let Some(document) = self.documents.get(&url) else { return Target::Outside };
        if !(fragment.is_empty() || fragment.starts_with('/')) {
            return self.anchors.get(&(url, fragment)).map_or(Target::Nothing, |place| Target::Place(*place));
        }
        let pointer = self.list.get(*document).map_or("", |place| &place.at).to_owned() + &fragment;
        match (self.at(&pointer), self.root.pointer(&pointer)) {
            (Some(place), _) => Target::Place(place),
            (None, Some(Value::Bool(_))) => Target::Constant,
            _ => Target::Nothing,
        }
    }

    fn add(&mut self, schema: &'s Value, at: &str, base: &Url) -> Result<(), SchemaError> {
        let Some(keywords) = schema.as_object() else { return Ok(()) };
        let number = self.list.len();
        let base = self.own_base(keywords, at, base, number)?;
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = keywords.get(keyword).and_then(Value::as_str) {
                self.anchors.insert((base.clone(), name.to_owned()), number);
            }
        }
        self.by_pointer.insert(at.to_owned(), number);
        self.list.push(Place { at: at.to_owned(), base: base.clone(), keywords });
        for (keyword, value) in keywords {
            for (place, part) in parts(keyword, value) {
                self.add(part, &format!("{at}{place}"), &base)?;
            }
        }
        Ok(())
    }

    fn own_base(
        &mut self,
        keywords: &Map<String, Value>,
        at: &str,
        base: &Url,
        number: usize,
    ) -> Result<Url, SchemaError> {
        let Some(id) = keywords.get("$id").and_then(Value::as_str) else { return Ok(base.clone()) };
        let own = base.join(id).map_err(|error| {
            let id = super::shortened(id);
            SchemaError::new(format!("{at}/$id"), format!("`{id}` is not a URI reference: {error}"))
        })?;
        let own = without_fragment(own);
        self.documents.insert(own.clone(), number);
        Ok(own)
    }
}

/// The schemas that a keyword holds, with their places below the schema it stands in.
pub(super) fn parts<'s>(keyword: &str, value: &'s Value) -> Vec<(String, &'s Value)> {
    match value {
        value if ONE.contains(&keyword) => vec![(format!("/{keyword}"), value)],
        Value::Array(list) if LISTS.contains(&keyword) => {
            list.iter().enumerate().map(|(index, part)| (format!("/{keyword}/{index}"), part)).collect()
        }
        Value::Object(named) if NAMED.contains(&keyword) => {
            let place = |name: &str| format!("/{keyword}/{}", name.replace('~', "~0").replace('/', "~1"));
            named.iter().map(|(name, part)| (place(name), part)).collect()
        }
        _ => Vec::new(),
    }
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}
