//! That a schema stays within itself: its one dialect, and references to its own parts only.
//!
//! The compiler would refuse to fetch anything too; this is where the refusal gets a place and words.

use serde_json::Value;

use super::places::{Place, Places, Target};
use super::{DIALECT, SchemaError, shortened};

/// For each place the places that its references may lead to.
pub(super) type Leads = Vec<Vec<usize>>;

/// Refuses other dialects and references that lead outside or nowhere.
pub(super) fn check(places: &Places<'_>) -> Result<Leads, SchemaError> {
    let leads = |place| {
        check_dialect(place)?;
        let mut leads = lead(places, place, "$ref")?;
        leads.extend(lead(places, place, "$dynamicRef")?);
        Ok(leads)
    };
    places.list.iter().map(leads).collect()
}

fn check_dialect(place: &Place<'_>) -> Result<(), SchemaError> {
    match place.keywords.get("$schema") {
        None => Ok(()),
        Some(Value::String(dialect)) if dialect.strip_suffix('#').unwrap_or(dialect) == DIALECT => Ok(()),
        Some(_) => {
            Err(SchemaError::new(format!("{}/$schema", place.at), format!("`$schema` must be `{DIALECT}` or left out")))
        }
    }
}

fn lead(places: &Places<'_>, place: &Place<'_>, keyword: &str) -> Result<Vec<usize>, SchemaError> {
    let Some(reference) = place.keywords.get(keyword).and_then(Value::as_str) else { return Ok(Vec::new()) };
    let refused = |fault: &str| {
        let message = format!("`{}` {fault}", shortened(reference));
        Err(SchemaError::new(format!("{}/{keyword}", place.at), message))
    };
    match places.resolve(&place.base, reference) {
        Target::Constant => Ok(Vec::new()),
        Target::Nothing => refused("leads to no schema: refer to a place in `$defs` that exists"),
        Target::Outside => refused(
            "is outside the schema and nothing is fetched: copy what it names into `$defs` and refer to `#/$defs/…`",
        ),
        // Which of the anchors of one name it is depends on the way that led there.
        Target::Place(target) if keyword == "$dynamicRef" => {
            let name = reference.rsplit_once('#').map_or("", |(_, fragment)| fragment);
            Ok(places.anchored(name).chain([target]).collect())
        }
        Target::Place(target) => Ok(vec![target]),
    }
}
