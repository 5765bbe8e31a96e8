//! A tenant's endpoints, found by event type: fan-out costs what an event's own endpoints cost, however many others
//! there are.

use std::collections::HashMap;

use whimbrel_core::EndpointId;
use whimbrel_core::endpoint::Subscriber;
use whimbrel_core::subscription::{EventType, Pattern};

/// Endpoints by id and by what they subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    subscribers: Vec<Subscriber>,
    by_id: HashMap<EndpointId, usize>,
    exact: HashMap<EventType, Vec<usize>>,
    /// By the prefix without its dot.
    under: HashMap<String, Vec<usize>>,
    all: Vec<usize>,
}

impl Roster {
    /// Of all of a tenant's endpoints.
    pub(crate) fn new(subscribers: Vec<Subscriber>) -> Self {
        let mut roster = Self::default();
        for (place, subscriber) in subscribers.iter().enumerate() {
            roster.by_id.insert(subscriber.id, place);
            for pattern in &subscriber.events {
                match pattern {
                    Pattern::All => roster.all.push(place),
                    Pattern::Under(prefix) => roster.under.entry(prefix.clone()).or_default().push(place),
                    Pattern::Exact(exact) => roster.exact.entry(exact.clone()).or_default().push(place),
                }
            }
        }
        Self { subscribers, ..roster }
    }

    /// One endpoint.
    pub(crate) fn get(&self, id: EndpointId) -> Option<&Subscriber> {
        self.by_id.get(&id).map(|place| &self.subscribers[*place])
    }

    /// Who wants events of this type, each once, in the order they were given.
    pub(crate) fn wanting(&self, event_type: &EventType) -> impl Iterator<Item = &Subscriber> {
        let text = event_type.as_str();
        let prefixes = text.match_indices('.').filter_map(|(dot, _)| self.under.get(&text[..dot]));
        let found = self.exact.get(event_type).into_iter().chain(prefixes).chain([&self.all]);
        let mut places: Vec<usize> = found.flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        // The pattern has the last word: `*` is not for the system's own events (rule 11).
        places.into_iter().map(|place| &self.subscribers[place]).filter(|subscriber| subscriber.wants(event_type))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_core::Timestamp;
    use whimbrel_core::endpoint::EndpointStatus;

    use super::*;

    fn subscriber(number: u8, patterns: &[&str], disabled: bool) -> Subscriber {
        let status = if disabled { EndpointStatus::Disabled } else { EndpointStatus::Active };
        let events = patterns.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        let id = EndpointId::generate(Timestamp::from_micros(0), [number; 10]);
        Subscriber { id, events, status, version: 1, filter: None }
    }

    const PATTERNS: [&str; 9] =
        ["*", "a.*", "a.b.*", "a.b", "a.b.c", "endpoint.*", "endpoint.suspended", "webhook.test", "ab.*"];
    const TYPES: [&str; 8] =
        ["a", "a.b", "a.b.c", "a.b.c.d", "ab.c", "endpoint.suspended", "webhook.test", "delivery.exhausted"];

    proptest! {
        #[test]
        fn it_finds_whom_asking_each_of_them_finds(
            endpoints in prop::collection::vec((prop::collection::vec(0..PATTERNS.len(), 0..4), any::<bool>()), 0..20)
        ) {
            let make = |(number, (patterns, disabled)): (u8, &(Vec<usize>, bool))| {
                subscriber(number, &patterns.iter().map(|index| PATTERNS[*index]).collect::<Vec<_>>(), *disabled)
            };
            let all: Vec<Subscriber> = (0u8..).zip(&endpoints).map(make).collect();
            let roster = Roster::new(all.clone());
            for name in TYPES {
                let event_type = EventType::try_new(name).expect("a type");
                let asked: Vec<_> = all.iter().filter(|subscriber| subscriber.wants(&event_type)).collect();
                prop_assert_eq!(roster.wanting(&event_type).collect::<Vec<_>>(), asked, "{}", name);
            }
            for subscriber in &all {
                prop_assert_eq!(roster.get(subscriber.id), Some(subscriber));
            }
        }
    }
}
