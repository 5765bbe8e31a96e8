//! Which events a webhook may ask for.

use whimbrel_core::contract::Contract;
use whimbrel_core::subscription::Pattern;

use crate::problem::FieldError;

/// Patterns of one webhook at most.
const PATTERNS_MAX: usize = 100;

/// Reads the patterns; every wrong one is an error of its own, with its place in the list.
pub(super) fn parse(texts: &[String], contract: &Contract) -> Result<Vec<Pattern>, Vec<FieldError>> {
    if !(1..=PATTERNS_MAX).contains(&texts.len()) {
        let message = format!("has {} entries; between 1 and {PATTERNS_MAX} are possible", texts.len());
        return Err(vec![FieldError::new("/events", message)]);
    }
    let mut patterns = Vec::with_capacity(texts.len());
    let mut errors = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        match parse_one(text, contract) {
            Ok(pattern) if patterns.contains(&pattern) => {
                errors.push(FieldError::new(format!("/events/{place}"), format!("`{text}` stands in the list twice")));
            }
            Ok(pattern) => patterns.push(pattern),
            Err(message) => errors.push(FieldError::new(format!("/events/{place}"), message)),
        }
    }
    if errors.is_empty() { Ok(patterns) } else { Err(errors) }
}

fn parse_one(text: &str, contract: &Contract) -> Result<Pattern, String> {
    let pattern: Pattern = text.parse().map_err(|error: whimbrel_core::subscription::TypeError| error.to_string())?;
    if can_match(&pattern, contract) {
        return Ok(pattern);
    }
    let name = contract.name();
    Err(format!("`{text}` matches no event type of the contract `{name}`, whose catalogue is closed; see GET /v1/event-types"))
}

/// Whether any event can ever match: a closed catalogue has no others, but for the system's own.
fn can_match(pattern: &Pattern, contract: &Contract) -> bool {
    let catalogue = contract.catalogue();
    match pattern {
        Pattern::All => true,
        Pattern::Under(prefix) if prefix == "endpoint" => true,
        Pattern::Exact(exact) if exact.is_system() => true,
        _ => !catalogue.closed || catalogue.types.iter().any(|entry| pattern.matches(&entry.name)),
    }
}
