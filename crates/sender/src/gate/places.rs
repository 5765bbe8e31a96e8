//! Places whose number can change while they are taken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// So many may wait however few the places: what a small cap lets through in the time is worth no parking, and so few
/// hold up nobody else.
const WAITING_MIN: usize = 64;

/// Fair: whoever waits longest is next.
pub(super) struct Places {
    free: Arc<Semaphore>,
    size: Mutex<Size>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Size {
    total: usize,
    /// Places that were taken when they were abolished: so many go as they come back.
    excess: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(0)), size: Mutex::default(), waiting: AtomicUsize::new(0) }
    }
}

impl Places {
    /// Makes it `total` places. Those above it that are taken stay so until they are given back.
    pub(super) fn resize(&self, total: usize) {
        let total = total.min(Semaphore::MAX_PERMITS);
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if total >= size.total {
            let more = total - size.total;
            let kept = more.min(size.excess);
            size.excess -= kept;
            self.free.add_permits(more - kept);
        } else {
            let fewer = size.total - total;
            size.excess += fewer - self.free.forget_permits(fewer);
        }
        size.total = total;
    }

    /// A place, now or until `give_up`; `None` when there is none, or when too many wait already: twice as many as
    /// there are places, or [`WAITING_MIN`].
    pub(super) async fn acquire(&self, give_up: Instant) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Some(permit);
        }
        let waiting = Waiting::count(&self.waiting);
        if waiting.before >= self.total().saturating_mul(2).max(WAITING_MIN) {
            return None;
        }
        timeout_at(give_up, self.free.clone().acquire_owned()).await.ok()?.ok()
    }

    pub(super) fn give_back(&self, permit: OwnedSemaphorePermit) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if size.excess > 0 {
            size.excess -= 1;
            permit.forget();
        }
    }

    fn total(&self) -> usize {
        self.size.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

/// Counts one waiting job for as long as it lives.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn count(counter: &'a AtomicUsize) -> Self {
        Self { counter, before: counter.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}
