//! Which delayed messages are with consumers already, and when the next one's time comes.
//!
//! Shared by the promoter, which lends, and the writer, which knows what was written and what was acked.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use whimbrel_core::Timestamp;

use super::place::Place;
use super::stored::Outgoing;

/// A delayed message's place in the order of due times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(super) due_at: i64,
    pub(super) id: i64,
}

/// See above.
#[derive(Debug)]
pub(crate) struct Lent {
    state: Mutex<State>,
    /// Told when one is due before what was known to be next.
    pub(super) earlier: Notify,
}

#[derive(Debug)]
struct State {
    ids: HashSet<i64>,
    /// Nothing up to here is left to promote.
    passed: Mark,
    /// The earliest that was written since the look began which is under way.
    written: Option<Mark>,
    /// What was acked since, and may be seen by it all the same; `None` between looks.
    acked: Option<Vec<i64>>,
    /// When the next one is due, as far as is known.
    next: Option<Timestamp>,
}

impl Lent {
    /// When the file is opened, none is, and what is in it is not known.
    pub(crate) fn new() -> Self {
        let passed = Mark { due_at: i64::MIN, id: 0 };
        let next = Some(Timestamp::from_micros(0));
        let state = State { ids: HashSet::new(), passed, written: None, acked: None, next };
        Self { state: Mutex::new(state), earlier: Notify::new() }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.state().next
    }

    /// Begins a look at what is due, and says behind what. The caller owes [`Self::end`].
    pub(super) fn begin(&self) -> Mark {
        let mut state = self.state();
        (state.written, state.acked, state.next) = (None, Some(Vec::new()), None);
        state.passed
    }

    /// Whether this one is lent, or was when the look began.
    pub(super) fn has(&self, id: i64) -> bool {
        self.state().ids.contains(&id)
    }

    /// Ends a look that went up to `passed` and lent these; the next one is due at `next`.
    pub(super) fn end(&self, passed: Mark, lent: impl IntoIterator<Item = i64>, next: Option<Timestamp>) {
        let mut state = self.state();
        state.ids.extend(lent);
        for id in state.acked.take().unwrap_or_default() {
            state.ids.remove(&id);
        }
        // What came meanwhile may be due before what was looked at.
        state.passed = state.written.map_or(passed, |written| written.min(passed));
        state.next = state.next.into_iter().chain(next).min();
    }

    /// Once messages are committed. One may be due before what was promoted already: its delay is shorter than it
    /// waited for the writer, or the clock was set back.
    pub(crate) fn note(&self, written: &[Outgoing]) {
        let due = |outgoing: &Outgoing| match outgoing.place {
            Place::Delayed { due_at, .. } => Some(due_at),
            Place::Ready(_) => None,
        };
        let Some(due_at) = written.iter().filter_map(due).min() else { return };
        let mut state = self.state();
        let mark = Mark { due_at: due_at.as_micros(), id: 0 };
        state.passed = state.passed.min(mark);
        state.written = Some(state.written.map_or(mark, |written| written.min(mark)));
        if state.next.is_none_or(|next| due_at < next) {
            state.next = Some(due_at);
            self.earlier.notify_one();
        }
    }

    /// Once acks are committed.
    pub(crate) fn forget(&self, acked: &[i64]) {
        let mut state = self.state();
        match &mut state.acked {
            Some(later) => later.extend(acked),
            None => {
                for id in acked {
                    state.ids.remove(id);
                }
            }
        }
    }

    /// Nothing panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::port::Lane;
    use whimbrel_core::tier::{HOPS, Tier};

    use super::super::stored::Stored;
    use super::*;

    fn written(due_at: i64) -> Vec<Outgoing> {
        let message = Stored {
            id: 1,
            turn: 0,
            redeliveries: 0,
            message_id: String::new(),
            content_type: String::new(),
            kind: String::new(),
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        };
        let place =
            Place::Delayed { tier: Tier::new(HOPS[0]), lane: Lane::Slow, due_at: Timestamp::from_micros(due_at) };
        vec![Outgoing { place, message }]
    }

    const fn mark(due_at: i64) -> Mark {
        Mark { due_at, id: 7 }
    }

    #[test]
    fn what_is_written_behind_a_look_is_looked_for_again() {
        for during in [true, false] {
            let lent = Lent::new();
            lent.begin();
            if during {
                lent.note(&written(50));
            }
            lent.end(mark(100), [], None);
            if !during {
                lent.note(&written(50));
            }
            assert_eq!(lent.next_due(), Some(Timestamp::from_micros(50)));
            assert!(lent.begin() < mark(50));
        }
    }

    #[test]
    fn what_is_written_before_it_leaves_a_look_where_it_went() {
        let lent = Lent::new();
        lent.begin();
        lent.note(&written(150));
        lent.end(mark(100), [], Some(Timestamp::from_micros(200)));
        assert_eq!(lent.next_due(), Some(Timestamp::from_micros(150)));
        assert_eq!(lent.begin(), mark(100));
    }

    #[test]
    fn what_is_acked_during_a_look_counts_as_lent_until_it_ends() {
        let lent = Lent::new();
        lent.begin();
        lent.end(mark(100), [1, 2, 3], None);
        lent.forget(&[1]);
        assert!(!lent.has(1));
        lent.begin();
        lent.forget(&[2]);
        assert!(lent.has(2));
        lent.end(mark(200), [2], None);
        assert!(!lent.has(2) && lent.has(3));
    }
}
