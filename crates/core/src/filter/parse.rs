//! Reading a filter, with words and a place for whatever is wrong with it.

use serde_json::{Map, Value};

use super::pointer::{Pointer, below};
use super::{Bound, COMPARISONS_MAX, Condition, DEPTH_MAX, FILTER_BYTES_MAX, Filter, FilterError, POINTER_BYTES_MAX};
use super::{Relation, Test};

const FORMS: &str = "a comparison with `pointer`, `op` and `value`, or an object with one of `all`, `any` and `not`";
const OPS: &str = "`eq`, `ne`, `in`, `prefix`, `exists`, `gt`, `gte`, `lt` and `lte`";

type Read<T> = Result<T, FilterError>;

/// A filter within its bounds.
pub(super) fn filter(json: &Value) -> Read<Filter> {
    let condition = Reader { comparisons: 0 }.condition(json, "", 1)?;
    // What is stored and read again is measured: it spells out what the input may leave to a default.
    let bytes = condition.to_json().to_string().len();
    if bytes > FILTER_BYTES_MAX {
        return fault("", format!("a filter takes at most {FILTER_BYTES_MAX} bytes and this one takes {bytes}"));
    }
    Ok(Filter(condition))
}

struct Reader {
    comparisons: usize,
}

impl Reader {
    fn condition(&mut self, json: &Value, at: &str, depth: usize) -> Read<Condition> {
        if depth > DEPTH_MAX {
            return fault(at, format!("filters nest at most {DEPTH_MAX} deep"));
        }
        let Some(fields) = json.as_object() else {
            return fault(at, format!("must be {FORMS}"));
        };
        let Some(form) = ["all", "any", "not", "pointer", "op"].into_iter().find(|form| fields.contains_key(*form))
        else {
            return fault(
                &fields.keys().next().map_or(at.to_owned(), |key| below(at, key)),
                format!("expected {FORMS}"),
            );
        };
        match form {
            "not" => {
                only(fields, &[form], at)?;
                Ok(Condition::Not(Box::new(self.condition(&fields[form], &below(at, form), depth + 1)?)))
            }
            "all" | "any" => {
                only(fields, &[form], at)?;
                let list = self.list(&fields[form], &below(at, form), depth + 1)?;
                Ok(if form == "all" { Condition::All(list) } else { Condition::Any(list) })
            }
            _ => self.comparison(fields, at),
        }
    }

    fn list(&mut self, json: &Value, at: &str, depth: usize) -> Read<Vec<Condition>> {
        let Some(items) = json.as_array().filter(|items| !items.is_empty()) else {
            return fault(at, "must be an array of one or more filters");
        };
        items.iter().enumerate().map(|(place, item)| self.condition(item, &below(at, place), depth)).collect()
    }

    fn comparison(&mut self, fields: &Map<String, Value>, at: &str) -> Read<Condition> {
        only(fields, &["pointer", "op", "value"], at)?;
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return fault(at, format!("a filter holds at most {COMPARISONS_MAX} comparisons"));
        }
        let pointer = data_pointer(text(fields, "pointer", at)?, &below(at, "pointer"))?;
        Ok(Condition::Compare { pointer, test: test(text(fields, "op", at)?, fields.get("value"), at)? })
    }
}

fn data_pointer(text: &str, at: &str) -> Read<Pointer> {
    if text.len() > POINTER_BYTES_MAX {
        return fault(
            at,
            format!("a pointer takes at most {POINTER_BYTES_MAX} bytes and this one takes {}", text.len()),
        );
    }
    Pointer::parse(text).map_or_else(
        || {
            let form = "empty for the whole data, or each key after a `/`, with `~1` for `/` and `~0` for `~` in it";
            fault(at, format!("`{text}` is not a JSON Pointer: {form}"))
        },
        Ok,
    )
}

fn test(op: &str, value: Option<&Value>, at: &str) -> Read<Test> {
    let place = below(at, "value");
    if op == "exists" {
        let expected = value.map_or(Some(true), Value::as_bool);
        return expected.map(Test::Exists).map_or_else(|| fault(&place, "`exists` takes true or false"), Ok);
    }
    let relation = match op {
        "gt" => Some(Relation::Greater),
        "gte" => Some(Relation::GreaterOrEqual),
        "lt" => Some(Relation::Less),
        "lte" => Some(Relation::LessOrEqual),
        "eq" | "ne" | "in" | "prefix" => None,
        _ => return fault(&below(at, "op"), format!("`{}` is not one of {OPS}", shown(op))),
    };
    let Some(value) = value else {
        return fault(at, format!("`value` is missing: what to compare by `{op}` with"));
    };
    match (op, relation, value) {
        (_, Some(relation), Value::Number(number)) => Ok(Test::Order(relation, Bound::Number(number.clone()))),
        (_, Some(relation), Value::String(text)) => Ok(Test::Order(relation, Bound::Text(text.clone()))),
        (_, Some(_), _) => fault(&place, format!("`{op}` takes a number or a string")),
        ("eq", _, value) => Ok(Test::Equal(value.clone())),
        ("ne", _, value) => Ok(Test::NotEqual(value.clone())),
        ("in", _, Value::Array(values)) if !values.is_empty() => Ok(Test::In(values.clone())),
        ("in", ..) => fault(&place, "`in` takes an array of one or more values"),
        (_, _, Value::String(prefix)) => Ok(Test::Prefix(prefix.clone())),
        _ => fault(&place, "`prefix` takes a string"),
    }
}

fn text<'j>(fields: &'j Map<String, Value>, name: &str, at: &str) -> Read<&'j str> {
    match fields.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => fault(&below(at, name), format!("`{name}` must be a string")),
        None => fault(at, format!("`{name}` is missing: expected {FORMS}")),
    }
}

fn only(fields: &Map<String, Value>, known: &[&str], at: &str) -> Read<()> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let known = known.join("`, `");
            fault(&below(at, key), format!("`{}` is not a field here, where only `{known}` may stand", shown(key)))
        }
        None => Ok(()),
    }
}

/// The beginning of a sender's word, enough to recognise it.
fn shown(word: &str) -> String {
    word.chars().take(64).collect()
}

fn fault<T>(at: &str, message: impl Into<String>) -> Read<T> {
    Err(FilterError { pointer: at.to_owned(), message: message.into() })
}
