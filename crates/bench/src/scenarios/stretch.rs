//! One of several stretches of a scenario, with figures of its own: events that are published while others still come.

use anyhow::Result;
use whimbrel_testkit::wait;

use crate::bench::Bench;
use crate::floor::Packing;
use crate::load::Events;
use crate::meter::{Meter, Used};
use crate::receiver::{Receipts, Tally};
use crate::result::{Measured, Scenario};
use crate::round::{Case, Load, PATIENCE, Round};

/// What was published, and what that took.
pub(super) struct Stretch {
    name: String,
    load: Load,
    /// How much is shared.
    pub(super) packing: Packing,
    /// The numbers of the first event and of the first after the last.
    pub(super) events: (usize, usize),
    /// When each was begun.
    pub(super) sent: Vec<u64>,
    used: Used,
    requests: u64,
}

impl Stretch {
    /// Publishes and waits until each of these events has come once.
    pub(super) async fn run(
        bench: &Bench,
        round: &Round<'_>,
        name: String,
        load: Load,
        events: &Events,
    ) -> Result<Self> {
        let receiver = &bench.receiver;
        let range = (events.first(), events.first() + events.count());
        let before = receiver.look(Tally::requests);
        let meter = Meter::start(&round.system, &bench.servers, receiver);
        let sent = round.publish(load, events).await?;
        let arrived = || receiver.look(|tally| tally.arrived(range.0, range.1));
        let all_came = wait::until("each event has come once", PATIENCE * 4, || async {
            (arrived() == events.count()).then_some(())
        });
        // What is missing then is a fault of the case.
        let _ = all_came.await;
        let used = meter.stop();
        let requests = receiver.look(Tally::requests) - before;
        Ok(Self { name, load, packing: Packing::Full, events: range, sent, used, requests })
    }

    /// As of a case of these events alone; `expected` says of an event's number and receipts which of them count.
    pub(super) fn figures(
        &self,
        scenario: Scenario,
        round: &Round<'_>,
        receipts: &Receipts,
        expected: impl Fn(usize, u8) -> u8,
    ) -> Measured {
        let (first, end) = self.events;
        let mut case = Case::new(scenario, self.name.clone(), self.load);
        case.packing = self.packing;
        let counts = receipts.counts[first..end].iter().enumerate();
        let own = Receipts {
            each: 1,
            counts: counts.map(|(place, count)| expected(first + place, *count)).collect(),
            first_us: receipts.first_us[first..end].to_vec(),
            requests: self.requests,
            faults: receipts.faults,
        };
        round.figures(&case, &self.sent, &own, &self.used)
    }
}
