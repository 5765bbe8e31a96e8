//! The ready messages of one source: some in memory, in order, and behind them what is only on disk.
//!
//! Invariant: whatever is committed and neither in memory nor with a consumer lies in the stretch `disk`. What is handed
//! over before it is committed has a lower id than all that comes after it, so it never lies there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use whimbrel_core::port::Source;

use super::place::KEPT;
use super::stored::Stored;

/// How much of one source is held in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Ids on disk that are not in memory, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Messages in it.
    pub(crate) count: u64,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Stored>,
    ready_bytes: usize,
    turns: u64,
    disk: Option<Stretch>,
    loading: bool,
    consumers: usize,
    /// Of those, the ones that have nothing to do.
    idle: usize,
}

/// One for each of [`KEPT`].
pub(crate) type Lots = [Arc<Lot>; KEPT.len()];

/// One source's messages and those who wait for them.
#[derive(Debug)]
pub(crate) struct Lot {
    pub(crate) source: Source,
    bounds: Bounds,
    /// What is read up to this id was there when the file was opened, so it may have been delivered before.
    old_up_to: i64,
    state: Mutex<State>,
    /// Tells consumers that something is ready, or that they may take more.
    pub(crate) changed: Notify,
}

impl Lot {
    /// `found` is what the file held when it was opened.
    pub(crate) fn new(source: Source, bounds: Bounds, found: Option<Stretch>) -> Self {
        Self {
            source,
            bounds,
            old_up_to: found.map_or(0, |stretch| stretch.to),
            state: Mutex::new(State { disk: found, ..State::default() }),
            changed: Notify::new(),
        }
    }

    /// Takes newly committed messages, in order of their ids. What finds no room stays on disk, and so
    /// does everything while nobody consumes.
    pub(crate) fn add(&self, messages: Vec<Stored>) {
        let mut state = self.state();
        for message in messages {
            let room = state.consumers > 0 && self.has_room(&state);
            match &mut state.disk {
                Some(stretch) => {
                    stretch.to = message.id;
                    stretch.count += 1;
                }
                None if room => state.push_back(message),
                None => state.disk = Some(Stretch { from: message.id, to: message.id, count: 1 }),
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Takes messages that lie on disk outside the stretch. There should be room: see [`Self::is_open`].
    pub(crate) fn add_lent(&self, messages: Vec<Stored>) {
        let mut state = self.state();
        for message in messages {
            state.push_back(message);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether there is room in memory, and nothing on disk that comes before.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.state();
        state.consumers > 0 && state.disk.is_none() && self.has_room(&state)
    }

    /// Gives a message to consumers before it is committed, with an id, if one of them has nothing to do and there is
    /// nothing before it. False when it has to be added once it is committed.
    pub(crate) fn give(&self, message: &mut Stored, next_id: impl FnOnce() -> i64) -> bool {
        let mut state = self.state();
        if state.idle == 0 || state.disk.is_some() || !self.has_room(&state) {
            return false;
        }
        message.id = next_id();
        state.push_back(message.clone());
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// A consumer has nothing to do, until the guard is dropped.
    pub(crate) fn wait(&self) -> Idle<'_> {
        self.state().idle += 1;
        Idle(self)
    }

    /// The first ones, at most `max`.
    pub(crate) fn take(&self, max: usize) -> Vec<Stored> {
        let mut state = self.state();
        let count = max.min(state.ready.len());
        let taken: Vec<Stored> = state.ready.drain(..count).collect();
        state.ready_bytes -= taken.iter().map(Stored::bytes).sum::<usize>();
        taken
    }

    /// Puts messages back where they stood.
    pub(crate) fn give_back(&self, messages: Vec<Stored>) {
        let mut state = self.state();
        for message in messages {
            let place = state.ready.partition_point(|ready| ready.turn < message.turn);
            state.ready_bytes += message.bytes();
            state.ready.insert(place, message);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Forgets messages that were dealt with past every consumer.
    pub(crate) fn forget(&self, ids: &[i64]) {
        let mut state = self.state();
        let before = state.ready.len();
        state.ready.retain(|message| !ids.contains(&message.id));
        state.ready_bytes = state.ready.iter().map(Stored::bytes).sum();
        let on_disk = ids.len() - (before - state.ready.len());
        if let Some(disk) = &mut state.disk {
            disk.count = disk.count.saturating_sub(on_disk as u64);
        }
    }

    /// What to read next, when memory is half empty and nobody reads already. The caller then owes
    /// [`Self::loaded`] or [`Self::not_loaded`].
    pub(crate) fn begin_load(&self) -> Option<(Stretch, Bounds)> {
        let mut state = self.state();
        let low = state.ready.len() <= self.bounds.messages / 2 && state.ready_bytes <= self.bounds.bytes / 2;
        let stretch = state.disk.filter(|_| low && !state.loading)?;
        state.loading = true;
        let messages = (self.bounds.messages - state.ready.len()).max(1);
        let bytes = self.bounds.bytes.saturating_sub(state.ready_bytes).max(1);
        Some((stretch, Bounds { messages, bytes }))
    }

    /// Takes what was read of `stretch`, from its start on, with the bounds that were given.
    pub(crate) fn loaded(&self, stretch: Stretch, asked: Bounds, messages: Vec<Stored>) {
        let bytes: usize = messages.iter().map(Stored::bytes).sum();
        let all = messages.len() < asked.messages && bytes < asked.bytes;
        let mut state = self.state();
        state.loading = false;
        let read_to = if all { stretch.to } else { messages.last().map_or(stretch.to, |last| last.id) };
        state.disk = state.disk.filter(|disk| disk.to > read_to).map(|disk| Stretch {
            from: read_to + 1,
            count: disk.count.saturating_sub(messages.len() as u64),
            ..disk
        });
        for mut message in messages {
            message.redeliveries += u32::from(message.id <= self.old_up_to);
            state.push_back(message);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Reading failed: someone may try again.
    pub(crate) fn not_loaded(&self) {
        self.state().loading = false;
        self.changed.notify_waiters();
    }

    /// Counts a consumer in.
    pub(crate) fn enter(&self) {
        self.state().consumers += 1;
    }

    /// Counts a consumer out.
    pub(crate) fn leave(&self) {
        self.state().consumers -= 1;
    }

    /// Messages that wait, in memory and on disk.
    pub(crate) fn depth(&self) -> u64 {
        let state = self.state();
        state.ready.len() as u64 + state.disk.map_or(0, |stretch| stretch.count)
    }

    fn has_room(&self, state: &State) -> bool {
        state.ready.len() < self.bounds.messages && state.ready_bytes < self.bounds.bytes
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as another.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Lot::wait`].
pub(crate) struct Idle<'a>(&'a Lot);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.state().idle -= 1;
    }
}

impl State {
    fn push_back(&mut self, mut message: Stored) {
        self.turns += 1;
        message.turn = self.turns;
        self.ready_bytes += message.bytes();
        self.ready.push_back(message);
    }
}
