//! How often a schema looks at one and the same value.
//!
//! References and `allOf`, `anyOf` and their like apply further schemas to the value at hand. Written
//! out, a few lines of them can be more schemas than could ever be applied (each of sixty definitions
//! asking the next one twice), or without end. So they are counted before a schema is accepted. Schemas
//! that recur on parts of the value, as trees do, end with the data and are not counted here.

use super::SchemaError;
use super::places::{Places, parts};
use super::references::Leads;

/// The most schemas that may apply to one value.
const APPLIED_MAX: u64 = 10_000;
/// The most schemas of which each applies the next to the same value; the stack grows with them.
const CHAIN_MAX: usize = 32;

/// The keywords that apply their schemas to the value itself.
const IN_PLACE: [&str; 9] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"];

/// Refuses schemas that apply themselves, or too many others, to one value.
pub(super) fn check(places: &Places<'_>, leads: &Leads) -> Result<(), SchemaError> {
    let mut count = Count { places, leads, known: vec![Known::Nothing; places.list.len()] };
    (0..places.list.len()).try_for_each(|place| count.applied(place).map(drop))
}

struct Count<'p, 's> {
    places: &'p Places<'s>,
    leads: &'p Leads,
    known: Vec<Known>,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Nothing,
    /// On the way that is being followed.
    Open,
    Applied(Applied),
}

/// What one schema comes to for one value.
#[derive(Debug, Clone, Copy)]
struct Applied {
    schemas: u64,
    chain: usize,
}

impl Count<'_, '_> {
    fn applied(&mut self, place: usize) -> Result<Applied, SchemaError> {
        match self.known[place] {
            Known::Applied(applied) => return Ok(applied),
            Known::Open => {
                return Err(self.refusal(place, "leads back to itself for the same value and would never end"));
            }
            Known::Nothing => {}
        }
        self.known[place] = Known::Open;
        let mut total = Applied { schemas: 1, chain: 1 };
        for next in self.next(place) {
            let part = self.applied(next)?;
            total.schemas += part.schemas;
            total.chain = total.chain.max(part.chain + 1);
        }
        if total.schemas > APPLIED_MAX {
            return Err(self.refusal(place, format!("applies more than {APPLIED_MAX} schemas to one value")));
        }
        if total.chain > CHAIN_MAX {
            return Err(self.refusal(place, format!("leads through more than {CHAIN_MAX} schemas for one value")));
        }
        self.known[place] = Known::Applied(total);
        Ok(total)
    }

    fn next(&self, place: usize) -> Vec<usize> {
        let Some(here) = self.places.list.get(place) else { return Vec::new() };
        let held = IN_PLACE.iter().filter_map(|keyword| Some((keyword, here.keywords.get(*keyword)?)));
        let held = held.flat_map(|(keyword, value)| parts(keyword, value));
        let held = held.filter_map(|(part, _)| self.places.at(&format!("{}{part}", here.at)));
        held.chain(self.leads[place].iter().copied()).collect()
    }
    fn refusal(&self, place: usize, message: impl Into<String>) -> SchemaError {
        SchemaError::new(&self.places.list[place].at, message)
    }
}
