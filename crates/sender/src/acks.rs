//! Packs that can be acked, on their way to one task that acks them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::warn;
use whimbrel_core::port::{Acker, Tag};

/// Tags of one lane's packs that have ended. It holds the newest connection's only, since an ack of an earlier one is
/// ignored anyway: so there are never more of them than the prefetch.
#[derive(Default)]
pub(crate) struct Acks {
    ended: Mutex<Ended>,
    changed: Notify,
}

#[derive(Default)]
struct Ended {
    epoch: u64,
    tags: Vec<Tag>,
    closed: bool,
}

impl Acks {
    /// This pack has ended.
    pub(crate) fn push(&self, tag: Tag) {
        self.change(|ended| {
            if tag.epoch > ended.epoch {
                ended.epoch = tag.epoch;
                ended.tags.clear();
            }
            if tag.epoch == ended.epoch {
                ended.tags.push(tag);
            }
        });
    }

    /// No more is acked than what has ended by now.
    pub(crate) fn close(&self) {
        self.change(|ended| ended.closed = true);
    }

    /// What has ended since the last call, at least one; `None` once closed and empty.
    pub(crate) async fn next(&self) -> Option<Vec<Tag>> {
        loop {
            {
                let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
                if !ended.tags.is_empty() {
                    return Some(std::mem::take(&mut ended.tags));
                }
                if ended.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Ended)) {
        change(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

/// Acks what ends, until the close.
pub(crate) async fn ack_loop(acker: Arc<dyn Acker>, acks: Arc<Acks>) {
    while let Some(tags) = acks.next().await {
        if let Err(error) = acker.ack(&tags).await {
            warn!(%error, packs = tags.len(), "packs could not be acked and will come again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tags_of_an_earlier_connection_are_forgotten_and_the_close_lets_the_rest_out() {
        let acks = Acks::default();
        for (epoch, number) in [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2)] {
            acks.push(Tag { epoch, number });
        }
        acks.close();
        assert_eq!(acks.next().await, Some(vec![Tag { epoch: 2, number: 1 }, Tag { epoch: 2, number: 2 }]));
        assert_eq!(acks.next().await, None);
    }
}
