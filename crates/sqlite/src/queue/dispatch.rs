//! What the queue keeps in memory, shared by the writer, the publishers and the consumers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use whimbrel_core::port::DepthRow;

use super::lot::{Bounds, Lot, Lots, Stretch};
use super::place::{DELAYED, Ids, KEPT};
use super::stored::Stored;
use super::table::Found;

/// Notices that a listener may fall behind before it is told that it missed some.
const NOTICES_MAX: usize = 1024;

/// The queue's memory.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) lots: Lots,
    /// Messages per tier. One may be counted out a moment before it is counted in.
    delayed: Mutex<BTreeMap<String, i64>>,
    /// To whoever listens.
    pub(crate) notices: broadcast::Sender<Arc<Stored>>,
    /// True while commits fail.
    pub(crate) blocked: watch::Sender<bool>,
    /// Cancelled when the queue is closed.
    pub(crate) closed: CancellationToken,
    epochs: AtomicU64,
}

impl Dispatch {
    /// From what the file holds; also gives the ids that are free in it.
    pub(crate) fn new(found: &[Found], bounds: Bounds) -> (Self, Ids) {
        let mut ids = Ids::new();
        let mut stretches = [None; KEPT.len()];
        let mut delayed = BTreeMap::new();
        for Found { index, tier, count, ids: (from, to) } in found {
            ids.pass(*index, *to);
            match tier {
                Some(tier) if *index == DELAYED => {
                    delayed.insert(tier.clone(), i64::try_from(*count).unwrap_or(i64::MAX));
                }
                _ => stretches[*index] = Some(Stretch { from: *from, to: *to, count: *count }),
            }
        }
        let dispatch = Self {
            lots: std::array::from_fn(|index| Arc::new(Lot::new(KEPT[index], bounds, stretches[index]))),
            delayed: Mutex::new(delayed),
            notices: broadcast::Sender::new(NOTICES_MAX),
            blocked: watch::Sender::new(false),
            closed: CancellationToken::new(),
            epochs: AtomicU64::new(1),
        };
        (dispatch, ids)
    }

    /// A consumer's own epoch, so that no other consumer's tags are its.
    pub(crate) fn next_epoch(&self) -> u64 {
        self.epochs.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts messages into a tier.
    pub(crate) fn delay(&self, tier: String) {
        *self.delayed().entry(tier).or_default() += 1;
    }

    /// Counts a message out of a tier.
    pub(crate) fn undelay(&self, tier: &str) {
        metrics::counter!("whimbrel_tier_left_total", "tier" => tier.to_owned()).increment(1);
        *self.delayed().entry(tier.to_owned()).or_default() -= 1;
    }

    /// What waits where.
    pub(crate) fn depths(&self) -> Vec<DepthRow> {
        let lots = self.lots.iter().map(|lot| DepthRow { name: lot.source.to_string(), ready: lot.depth() });
        let delayed = self.delayed();
        let tiers = delayed
            .iter()
            .map(|(tier, count)| DepthRow { name: format!("delay.{tier}"), ready: u64::try_from(*count).unwrap_or(0) });
        lots.chain(tiers).collect()
    }

    fn delayed(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
