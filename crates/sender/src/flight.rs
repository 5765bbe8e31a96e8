//! Jobs in hand. A job that comes again while it is in hand (the broker's connection broke) gets no
//! second POST: its new pack waits for the same end (rule 15).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use whimbrel_core::DeliveryId;
use whimbrel_core::message::Job;
use whimbrel_core::port::Tag;

use crate::acks::Acks;

/// A received pack: acked when every job in it has an end.
pub(crate) struct Pack {
    tag: Tag,
    open: AtomicUsize,
    acks: Arc<Acks>,
}

impl Pack {
    pub(crate) fn new(tag: Tag, jobs: usize, acks: &Arc<Acks>) -> Arc<Self> {
        Arc::new(Self { tag, open: AtomicUsize::new(jobs), acks: acks.clone() })
    }

    /// One of its jobs has an end.
    pub(crate) fn close_one(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.acks.push(self.tag);
        }
    }
}

/// What a job is known by.
pub(crate) type JobKey = (DeliveryId, u32, u32);

pub(crate) fn key(job: &Job) -> JobKey {
    (job.delivery, job.round, job.attempt)
}

/// The jobs in hand, each with the packs that wait for it.
#[derive(Default)]
pub(crate) struct Flights {
    packs: Mutex<HashMap<JobKey, Waiting>>,
    moving: AtomicUsize,
}

/// The packs of a job in hand.
struct Waiting {
    first: Arc<Pack>,
    /// In which the same job came again: hardly ever any.
    others: Vec<Arc<Pack>>,
}

impl Waiting {
    fn close_one(&self) {
        for pack in std::iter::once(&self.first).chain(&self.others) {
            pack.close_one();
        }
    }
}

/// The packs of a job that is on its way elsewhere.
pub(crate) struct Moving(Option<Waiting>);

impl Flights {
    /// True when the job is new to this process; else its pack now waits for the one in hand.
    pub(crate) fn begin(&self, key: JobKey, pack: Arc<Pack>) -> bool {
        match self.lock().entry(key) {
            Entry::Vacant(new) => {
                new.insert(Waiting { first: pack, others: Vec::new() });
                true
            }
            Entry::Occupied(mut known) => {
                known.get_mut().others.push(pack);
                false
            }
        }
    }

    /// The job has an end that is durable. Its packs are closed under the lock: when nothing is open, every tag is
    /// with the acks.
    pub(crate) fn end(&self, key: JobKey) {
        let mut packs = self.lock();
        if let Some(waiting) = packs.remove(&key) {
            waiting.close_one();
        }
    }

    /// The job is about to be published elsewhere. From now on it is not in hand: it may come back before the
    /// confirm does, and is then a job of its own.
    pub(crate) fn give_up(&self, key: JobKey) -> Moving {
        self.moving.fetch_add(1, Ordering::AcqRel);
        Moving(self.lock().remove(&key))
    }

    /// What was given up is durable elsewhere.
    pub(crate) fn moved(&self, moving: &Moving) {
        if let Some(waiting) = &moving.0 {
            waiting.close_one();
        }
        self.moving.fetch_sub(1, Ordering::AcqRel);
    }

    /// Jobs without a durable end.
    pub(crate) fn open(&self) -> usize {
        self.lock().len() + self.moving.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobKey, Waiting>> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
