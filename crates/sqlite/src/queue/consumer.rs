//! Consuming one source's messages, together with whoever else does.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use whimbrel_core::port::{Acker, Consumer, QueueError, Received};

use super::acker::LotAcker;
use super::lot::{Bounds, Lot, Stretch};
use super::table;
use crate::engine::Shared;

/// How long after a failed read the next one is tried.
const BEFORE_NEXT_READ: Duration = Duration::from_millis(200);

/// A consumer; dropped, it gives back what it had not acked.
pub(super) struct LotConsumer {
    shared: Arc<Shared>,
    acker: Arc<LotAcker>,
}

impl LotConsumer {
    pub(super) fn new(shared: Arc<Shared>, index: usize, prefetch: u16) -> Self {
        let lot = shared.dispatch.lots[index].clone();
        lot.enter();
        let acker =
            LotAcker::new(lot, shared.writer.clone(), shared.clock.clone(), shared.dispatch.next_epoch(), prefetch);
        Self { shared, acker: Arc::new(acker) }
    }
}

impl Drop for LotConsumer {
    fn drop(&mut self) {
        self.acker.release_all();
        self.acker.lot.leave();
    }
}

#[async_trait]
impl Consumer for LotConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Received>, QueueError> {
        let lot = &self.acker.lot;
        loop {
            // Listening begins before looking, so that nothing slips in between.
            let mut changed = std::pin::pin!(lot.changed.notified());
            changed.as_mut().enable();
            if self.shared.dispatch.closed.is_cancelled() {
                return Err(QueueError::Closed);
            }
            let batch = self.acker.take(max.max(1));
            if let Some((stretch, bounds)) = lot.begin_load() {
                tokio::spawn(load(lot.clone(), self.shared.reads.clone(), stretch, bounds));
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
            let _idle = lot.wait();
            tokio::select! {
                () = changed => {}
                () = self.shared.dispatch.closed.cancelled() => return Err(QueueError::Closed),
            }
        }
    }

    fn acker(&self) -> Arc<dyn Acker> {
        self.acker.clone()
    }
}

/// Reads from disk into memory. In a task of its own, so that a cancelled receive does not undo it.
async fn load(lot: Arc<Lot>, reads: SqlitePool, stretch: Stretch, bounds: Bounds) {
    match table::read(&reads, stretch.from, stretch.to, bounds.messages, bounds.bytes).await {
        Ok(messages) => lot.loaded(stretch, bounds, messages),
        Err(_) if reads.is_closed() => {}
        Err(fault) => {
            tracing::error!(source = %lot.source, error = %fault, "cannot read waiting messages, trying again");
            tokio::time::sleep(BEFORE_NEXT_READ).await;
            lot.not_loaded();
        }
    }
}
