//! The table of exchanges, queues and bindings: the one place that knows them.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_core::port::{Lane, Source};
use whimbrel_core::tier::{Tier, Tiers};

mod check;
mod declare;
mod definitions;
mod print;

pub use check::{CheckError, Management, check};
pub use declare::{DeclareError, declare};

/// Where upstream publishes; routing key = event type.
pub const EVENTS: &str = "whimbrel.events";
/// Deliveries to attempt now; routing key `now.LANE`, or `TIER.LANE` out of a tier.
pub const JOBS: &str = "whimbrel.jobs";
/// Deliveries to attempt later; routing key `TIER.LANE`.
pub const DELAY: &str = "whimbrel.delay";
/// Results of attempts.
pub const OUTCOMES: &str = "whimbrel.outcomes";
/// What changed, for whoever listens; routing key = kind.
pub const NOTICES: &str = "whimbrel.notices";
/// What cannot be processed.
pub const PARKING: &str = "whimbrel.parking";
/// What no queue takes.
pub const UNROUTABLE: &str = "whimbrel.unroutable";

/// How often a message may come again before it is parked.
const DELIVERY_LIMIT: i64 = 20;
/// Where `whimbrel.events.v1` begins to refuse, so that intake answers 503 instead of filling the disk (rule 16).
const EVENTS_BYTES_MAX: i64 = 1 << 30;

/// Everything that must exist on the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// All durable.
    pub exchanges: Vec<Exchange>,
    /// All durable quorum queues.
    pub queues: Vec<Queue>,
    /// Exchange to queue.
    pub bindings: Vec<Binding>,
}

/// One exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its arguments.
    pub arguments: Arguments,
}

/// How an exchange chooses queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By patterns over the routing key.
    Topic,
    /// All of them.
    Fanout,
}

impl Kind {
    /// AMQP's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Fanout => "fanout",
        }
    }
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name, version included.
    pub name: String,
    /// Its name in metrics and [`DepthRow`](whimbrel_core::port::DepthRow)s: `jobs.live`, `delay.30s`.
    pub label: String,
    /// Its arguments.
    pub arguments: Arguments,
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// From.
    pub exchange: &'static str,
    /// To.
    pub queue: String,
    /// The pattern; empty for a fanout exchange.
    pub key: String,
}

/// Arguments by name.
pub type Arguments = BTreeMap<&'static str, Argument>;

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl Topology {
    /// The table for these tiers.
    pub fn new(tiers: &Tiers) -> Self {
        let mut table = Self { exchanges: exchanges(), queues: Vec::new(), bindings: Vec::new() };
        let bounded = with(work(), [("x-max-length-bytes", Argument::Number(EVENTS_BYTES_MAX))]);
        table.add("events", EVENTS, "#", bounded);
        for lane in Lane::ALL {
            table.add(&format!("jobs.{lane}"), JOBS, &format!("*.{lane}"), work());
        }
        table.add("outcomes", OUTCOMES, "#", work());
        for tier in tiers.iter() {
            table.add(&format!("delay.{tier}"), DELAY, &format!("{tier}.*"), delay(tier));
        }
        table.add("parking", PARKING, "", quorum());
        table.add("unroutable", UNROUTABLE, "", quorum());
        table
    }

    /// A queue is named for its label and versioned: other arguments mean another version.
    fn add(&mut self, label: &str, exchange: &'static str, key: &str, arguments: Arguments) {
        let name = format!("whimbrel.{label}.v1");
        self.bindings.push(Binding { exchange, queue: name.clone(), key: key.to_owned() });
        self.queues.push(Queue { name, label: label.to_owned(), arguments });
    }
}

/// The source that a queue of the table is behind.
pub(crate) fn source_of(queue: &str) -> Option<Source> {
    Source::parse(queue.strip_prefix("whimbrel.")?.rsplit_once(".v")?.0)
}

/// The queue of what no queue took.
pub(crate) fn unroutable_queue() -> String {
    "whimbrel.unroutable.v1".to_owned()
}

/// The queue behind a source; `None` for notices, for which each listener has a queue of its own.
pub(crate) fn queue_of(source: Source) -> Option<String> {
    (source != Source::Notices).then(|| format!("whimbrel.{source}.v1"))
}

fn exchanges() -> Vec<Exchange> {
    let caught = || Arguments::from([("alternate-exchange", text(UNROUTABLE))]);
    let exchange = |name, kind, arguments| Exchange { name, kind, arguments };
    vec![
        exchange(EVENTS, Kind::Topic, caught()),
        exchange(JOBS, Kind::Topic, caught()),
        exchange(DELAY, Kind::Topic, caught()),
        exchange(OUTCOMES, Kind::Topic, caught()),
        exchange(NOTICES, Kind::Topic, Arguments::new()),
        exchange(PARKING, Kind::Fanout, Arguments::new()),
        exchange(UNROUTABLE, Kind::Fanout, Arguments::new()),
    ]
}

fn quorum() -> Arguments {
    Arguments::from([("x-queue-type", text("quorum"))])
}

/// Of the queues that roles consume: what comes too often goes to parking, and is not lost on the way.
fn work() -> Arguments {
    with(
        quorum(),
        [
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
            ("x-dead-letter-exchange", text(PARKING)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ],
    )
}

/// Of a tier: when the time is over back to the jobs, under the same routing key so that the lane survives.
fn delay(tier: Tier) -> Arguments {
    let millis = i64::try_from(tier.delay().as_millis()).unwrap_or(i64::MAX);
    with(
        quorum(),
        [
            ("x-message-ttl", Argument::Number(millis)),
            ("x-dead-letter-exchange", text(JOBS)),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ],
    )
}

fn with<const N: usize>(mut arguments: Arguments, more: [(&'static str, Argument); N]) -> Arguments {
    arguments.extend(more);
    arguments
}

fn text(value: &str) -> Argument {
    Argument::Text(value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn table() -> Topology {
        Topology::new(&Tiers::new([Duration::from_secs(30)]))
    }

    fn queue(label: &str) -> Queue {
        table().queues.into_iter().find(|queue| queue.label == label).expect("in the table")
    }

    #[test]
    fn names() {
        let names: Vec<_> = table().queues.into_iter().map(|queue| queue.name).collect();
        assert_eq!(
            names,
            [
                "whimbrel.events.v1",
                "whimbrel.jobs.live.v1",
                "whimbrel.jobs.slow.v1",
                "whimbrel.jobs.bulk.v1",
                "whimbrel.outcomes.v1",
                "whimbrel.delay.1s.v1",
                "whimbrel.delay.2s.v1",
                "whimbrel.delay.5s.v1",
                "whimbrel.delay.10s.v1",
                "whimbrel.delay.30s.v1",
                "whimbrel.parking.v1",
                "whimbrel.unroutable.v1",
            ]
        );
    }

    #[test]
    fn every_source_has_its_queue_in_the_table() {
        let sources = [Source::Events, Source::Outcomes, Source::Parking];
        for source in Lane::ALL.map(Source::Jobs).into_iter().chain(sources) {
            let queue = queue(&source.to_string());
            assert_eq!(source_of(&queue.name), Some(source));
            assert_eq!(queue_of(source), Some(queue.name));
        }
        assert_eq!(queue_of(Source::Notices), None);
        assert_eq!(queue("unroutable").name, unroutable_queue());
    }

    #[test]
    fn rule_16_only_events_have_a_length_limit() {
        let limited = |queue: &Queue| queue.arguments.keys().any(|name| name.starts_with("x-max-length"));
        let limited: Vec<_> = table().queues.into_iter().filter(limited).map(|queue| queue.label).collect();
        assert_eq!(limited, ["events"]);
    }

    #[test]
    fn rule_24_no_alternate_on_notices_parking_and_unroutable() {
        let bare = |exchange: &&Exchange| exchange.arguments.is_empty();
        let table = table();
        let bare: Vec<_> = table.exchanges.iter().filter(bare).map(|exchange| exchange.name).collect();
        assert_eq!(bare, [NOTICES, PARKING, UNROUTABLE]);
    }

    #[test]
    fn a_tier_keeps_the_routing_key() {
        let tier = queue("delay.30s");
        assert_eq!(tier.arguments.get("x-message-ttl"), Some(&Argument::Number(30_000)));
        assert!(!tier.arguments.contains_key("x-dead-letter-routing-key"));
    }
}
