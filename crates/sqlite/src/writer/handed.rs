//! Messages that consumers get before they are written, so that what is told to one that has nothing to do waits for no
//! disk.
//!
//! A consumer of events or outcomes is done with a message when all that comes of it is committed. When that is soon, the
//! message itself never needs to be written: its publisher is told when it is acked. A job is written at once, since a
//! receiver may take its time. If the process dies in between, the publisher has not been told.

use std::time::Duration;

use tokio::time::Instant;
use whimbrel_core::port::Source;

use super::{Done, Publish};
use crate::queue::lot::Lots;
use crate::queue::place::{Ids, KEPT, Place};
use crate::queue::stored::Outgoing;

/// How long a consumer may have a message before that is written.
const PATIENCE: Duration = Duration::from_millis(20);

/// Publishes of which consumers have every message, none of them written; the oldest first.
#[derive(Default)]
pub(super) struct Handed(Vec<Lease>);

struct Lease {
    until: Instant,
    /// What is not acked.
    left: Publish,
}

impl Handed {
    /// Lets consumers keep what they were given, for a while.
    pub(super) fn keep(&mut self, left: Publish) {
        self.0.push(Lease { until: Instant::now() + PATIENCE, left });
    }

    /// Takes what was acked out of `acked`; who waits only for that is to be told.
    pub(super) fn settle(&mut self, acked: &mut Vec<i64>) -> Vec<Done> {
        if self.0.is_empty() || acked.is_empty() {
            return Vec::new();
        }
        for Lease { left: Publish { messages, .. }, .. } in &mut self.0 {
            messages.retain(|outgoing| {
                let place = acked.iter().position(|id| *id == outgoing.message.id);
                place.map(|place| acked.swap_remove(place)).is_none()
            });
        }
        self.0.extract_if(.., |lease| lease.left.messages.is_empty()).map(|lease| lease.left.done).collect()
    }

    /// What has to be written now: with `all` everything.
    pub(super) fn overdue(&mut self, all: bool) -> Vec<Publish> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        self.0.extract_if(.., |lease| all || lease.until <= now).map(|lease| lease.left).collect()
    }

    /// How long until something has to be written; `None` while nothing is handed over.
    pub(super) fn until_next(&self) -> Option<Duration> {
        self.0.first().map(|oldest| oldest.until.saturating_duration_since(Instant::now()))
    }
}

/// Sources of which something waits to be written before anyone gets it: what comes behind it waits, too, so that
/// messages stay in order.
#[derive(Debug, Default)]
pub(super) struct Held([bool; KEPT.len()]);

impl Held {
    /// Nothing may be given.
    pub(super) fn all() -> Self {
        Self([true; KEPT.len()])
    }

    /// While these wait.
    pub(super) fn by<'a>(waiting: impl IntoIterator<Item = &'a Outgoing>) -> Self {
        let mut held = Self::default();
        for outgoing in waiting {
            held.hold(outgoing.place);
        }
        held
    }

    /// What goes into a tier waits for its time, not for others.
    pub(super) fn hold(&mut self, place: Place) {
        if let Place::Ready(index) = place {
            self.0[index] = true;
        }
    }

    /// What consumers have now, and what they get once it is committed.
    pub(super) fn give(
        &mut self,
        messages: Vec<Outgoing>,
        lots: &Lots,
        ids: &mut Ids,
    ) -> (Vec<Outgoing>, Vec<Outgoing>) {
        let (mut given, mut others) = (Vec::new(), Vec::new());
        for mut outgoing in messages {
            let is_given = self.give_one(&mut outgoing, lots, ids);
            if is_given { &mut given } else { &mut others }.push(outgoing);
        }
        (given, others)
    }

    fn give_one(&mut self, outgoing: &mut Outgoing, lots: &Lots, ids: &mut Ids) -> bool {
        let Place::Ready(index) = outgoing.place else { return false };
        // What is parked has to stay.
        let may = !self.0[index] && KEPT[index] != Source::Parking;
        let is_given = may && lots[index].give(&mut outgoing.message, || ids.next(index));
        self.0[index] |= !is_given;
        is_given
    }
}

/// Whether its consumer is done with it when the store is.
pub(super) fn is_brief(outgoing: &Outgoing) -> bool {
    matches!(KEPT[outgoing.place.index()], Source::Events | Source::Outcomes)
}
