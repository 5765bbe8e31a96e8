//! Whether inserts may expect that none of their rows is there.

use std::sync::atomic::{AtomicU32, Ordering};

/// Calls that are careful after one that met a row of its own.
const CAREFUL_CALLS: u32 = 100;

/// Rows are nearly always new, and an insert that says so is a quarter cheaper than one that looks first
/// (`ON CONFLICT`). Where it fails the call is made again with care, and the next ones are careful at once: repeats
/// seldom come alone.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    careful: AtomicU32,
}

impl Trust {
    /// Whether to try without care.
    pub(crate) fn is_given(&self) -> bool {
        let fewer = |left: u32| left.checked_sub(1);
        self.careful.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err()
    }

    /// A row was there.
    pub(crate) fn betray(&self) {
        self.careful.store(CAREFUL_CALLS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_repeat_some_calls_are_careful() {
        let trust = Trust::default();
        assert!(trust.is_given() && trust.is_given());
        trust.betray();
        let careful = (0..1_000).take_while(|_| !trust.is_given()).count();
        assert_eq!(careful, usize::try_from(CAREFUL_CALLS).expect("a small number"));
        assert!(trust.is_given());
    }
}
