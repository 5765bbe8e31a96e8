//! The events that are published.

use std::sync::Arc;

use crate::receiver::Targets;

/// Bytes of an event's data.
const DATA_BYTES: usize = 1024;

/// Events by number: who gets each, and what it says. Clones share all of it.
#[derive(Debug, Clone)]
pub struct Events {
    first: usize,
    count: usize,
    targets: Arc<Targets>,
}

impl Events {
    /// As many events for these receivers.
    pub fn new(count: usize, targets: Targets) -> Self {
        Self { first: 0, count, targets: Arc::new(targets) }
    }

    /// Some of them: `count` from the `first`.
    pub fn part(&self, first: usize, count: usize) -> Self {
        Self { first, count, targets: self.targets.clone() }
    }

    /// Who gets which.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The number of the first.
    pub fn first(&self) -> usize {
        self.first
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The type of the event of this number.
    pub fn event_type(&self, number: usize) -> String {
        match &*self.targets {
            Targets::All => subscription(None),
            Targets::One(targets) => subscription(targets.get(number).copied()),
        }
    }

    /// Its data: 1 KB of JSON that begins with its number.
    pub fn data(number: usize) -> String {
        let head = format!(r#"{{"n":{number},"order":{{"currency":"EUR","total":"{:08}"}},"note":""#, number * 37);
        let room = DATA_BYTES - head.len() - 2;
        let note = "a line of an order, as long as it needs to be; ".repeat(room / 47 + 1);
        format!(r#"{head}{}"}}"#, &note[..room])
    }
}

/// The type that an endpoint subscribes to: all events, or those for it alone.
pub fn subscription(endpoint: Option<usize>) -> String {
    endpoint.map_or_else(|| "order.created".to_owned(), |endpoint| format!("order.of_{endpoint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_kilobyte_of_json_with_its_number() {
        for number in [0, 7, 123_456] {
            let data = Events::data(number);
            assert_eq!(data.len(), DATA_BYTES);
            let parsed: serde_json::Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(parsed["n"], number);
        }
    }

    #[test]
    fn an_events_type_chooses_its_receiver() {
        let events = Events::new(2, Targets::One(vec![3, 1]));
        assert_eq!(events.event_type(1), subscription(Some(1)));
        assert_eq!(Events::new(2, Targets::All).event_type(1), subscription(None));
    }
}
