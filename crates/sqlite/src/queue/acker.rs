//! What a consumer holds unacked, and how it gets rid of it.
//!
//! An ack is done when it is handed to the writer: it is durable with the next commit, or a little later with one of its
//! own, and one that a crash overtakes only means a redelivery.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use whimbrel_core::parking::DELIVERY_LIMIT;
use whimbrel_core::port::{Acker, Clock, QueueError, Received, Source, Tag};

use super::lot::Lot;
use super::stored::{Outgoing, Stored};
use crate::writer::{Spent, Writer};

/// Redeliveries after which a message is parked, as the broker's `x-delivery-limit` does.
const REDELIVERIES_MAX: u32 = 20;

pub(super) struct LotAcker {
    pub(super) lot: Arc<Lot>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    epoch: u64,
    prefetch: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By tag number.
    unacked: BTreeMap<u64, Stored>,
    last_number: u64,
}

impl LotAcker {
    pub(super) fn new(lot: Arc<Lot>, writer: Writer, clock: Arc<dyn Clock>, epoch: u64, prefetch: u16) -> Self {
        Self { lot, writer, clock, epoch, prefetch: usize::from(prefetch.max(1)), held: Mutex::default() }
    }

    /// Takes what is ready, up to `max` and to what the prefetch allows.
    pub(super) fn take(&self, max: usize) -> Vec<Received> {
        let mut held = self.held();
        let room = self.prefetch.saturating_sub(held.unacked.len());
        let taken = self.lot.take(max.min(room));
        taken.into_iter().map(|message| held.hold(message, self.epoch)).collect()
    }

    /// Gives all that is unacked to the other consumers.
    pub(super) fn release_all(&self) {
        let all = std::mem::take(&mut self.held().unacked);
        self.hand_back(all.into_values().collect());
    }

    fn remove(&self, tags: &[Tag]) -> Vec<Stored> {
        let mut held = self.held();
        let mine = tags.iter().filter(|tag| tag.epoch == self.epoch);
        mine.filter_map(|tag| held.unacked.remove(&tag.number)).collect()
    }

    fn spend(&self, acked: &[Stored]) {
        if !acked.is_empty() {
            self.writer.spend(Spent { acked: acked.iter().map(|message| message.id).collect(), parked: Vec::new() });
            // There is room in the prefetch again.
            self.lot.changed.notify_waiters();
        }
    }

    fn hand_back(&self, mut messages: Vec<Stored>) {
        for message in &mut messages {
            message.redeliveries += 1;
        }
        let over = |message: &Stored| message.redeliveries > REDELIVERIES_MAX && self.lot.source != Source::Parking;
        let (over, back): (Vec<_>, Vec<_>) = messages.into_iter().partition(over);
        self.lot.give_back(back);
        if !over.is_empty() {
            let acked = over.iter().map(|message| message.id).collect();
            let now = self.clock.now();
            let park = |message: Stored| {
                let origin = message.origin();
                message.parked(self.lot.source, &limit_sentence(), now, &origin)
            };
            let parked: Vec<Outgoing> = over.into_iter().map(park).collect();
            tracing::warn!(source = %self.lot.source, messages = parked.len(), "parked at the delivery limit");
            self.writer.spend(Spent { acked, parked });
        }
    }

    /// Nothing panics while it holds the lock.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn limit_sentence() -> String {
    format!("{DELIVERY_LIMIT}: it came more than {REDELIVERIES_MAX} times and was not acked")
}

impl Held {
    fn hold(&mut self, message: Stored, epoch: u64) -> Received {
        self.last_number += 1;
        let received = message.received(Tag { epoch, number: self.last_number });
        self.unacked.insert(self.last_number, message);
        received
    }
}

#[async_trait]
impl Acker for LotAcker {
    async fn ack(&self, tags: &[Tag]) -> Result<(), QueueError> {
        self.spend(&self.remove(tags));
        Ok(())
    }

    async fn ack_through(&self, tag: Tag) -> Result<(), QueueError> {
        if tag.epoch == self.epoch {
            let acked = {
                let mut held = self.held();
                let later = held.unacked.split_off(&tag.number.saturating_add(1));
                std::mem::replace(&mut held.unacked, later)
            };
            self.spend(&acked.into_values().collect::<Vec<_>>());
        }
        Ok(())
    }

    async fn release(&self, tags: &[Tag]) -> Result<(), QueueError> {
        let released = self.remove(tags);
        self.hand_back(released);
        Ok(())
    }
}
