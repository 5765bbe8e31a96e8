//! How long a receiver that throttles is left alone.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause, doubled with each further throttle answer in a row.
const FIRST: Duration = Duration::from_secs(1);
/// The longest, whatever the receiver asks. A job parked for it, with the spread that is added, is back well within
/// the sweep's grace (`SWEEP_GRACE`, 10 minutes), so that the sweep does not take it for lost.
pub(crate) const LONGEST: Duration = Duration::from_mins(5);
/// After so many the pause is [`LONGEST`].
const RUN_MAX: u32 = 16;

/// Whether, and until when.
#[derive(Default)]
pub(super) struct Pause {
    /// Throttle answers in a row, each to a POST that was begun after the one before had come.
    run: u32,
    /// Counts the runs' steps.
    step: u64,
    /// By the growing pause.
    until: Option<Instant>,
    /// By the receiver's `Retry-After`, which is never cut short (rule 23).
    asked_until: Option<Instant>,
}

impl Pause {
    /// For [`Self::throttled`]: a POST begun now is begun in this step.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// A throttle answer to a POST that was begun in `step`. What was under way together counts as one in the row:
    /// else a burst of a dozen would close the gate for the longest time at once.
    pub(super) fn throttled(&mut self, step: u64, asked: Duration, now: Instant) {
        if self.run == 0 || step == self.step {
            self.run = (self.run + 1).min(RUN_MAX);
            self.step += 1;
        }
        let pause = FIRST.saturating_mul(1 << (self.run - 1)).min(LONGEST);
        self.until = self.until.max(Some(now + pause));
        self.asked_until = self.asked_until.max(Some(now + asked.min(LONGEST)));
    }

    /// An answer that was no throttle ends the row and the growing pause.
    pub(super) fn answered(&mut self) {
        self.run = 0;
        self.until = None;
    }

    /// How long it still lasts; `None` when it is over.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let remaining = self.until.max(self.asked_until)?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }
}
