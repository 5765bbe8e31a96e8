//! Whether an endpoint hangs: takes connections and answers nothing. Each POST to it then costs a place and a slot for
//! the whole deadline, so after a few in a row only probes go out, one at a time, with growing pauses between them.
//!
//! A probe is a delivery's real attempt: it is counted, signed and logged like any other. The jobs that wait meanwhile
//! use neither an attempt nor a hop.

use std::time::Duration;

use tokio::time::Instant;

/// Time-outs in a row that make an endpoint a hanging one: more than one delivery's bad luck.
const HANGS_MIN: u32 = 8;
/// The pause before the first probe, doubled with each that hangs.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause; far below the sweep's grace.
const LONGEST: Duration = Duration::from_mins(1);
/// How long a job is put off that comes while a probe is under way.
const PROBING: Duration = Duration::from_secs(5);

/// Counts an endpoint's time-outs.
#[derive(Default)]
pub(super) struct Breaker {
    /// Time-outs since the last answer.
    hangs: u32,
    /// Probes that hung.
    probes: u32,
    /// When the next probe may go out.
    until: Option<Instant>,
    probing: bool,
}

/// What a job may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Start, one of many.
    Free,
    /// Start, as the one probe.
    Probe,
    /// Come back after this.
    Wait(Duration),
}

impl Breaker {
    /// Asked by each job before it waits for a place.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match self.remaining(now) {
            _ if self.hangs < HANGS_MIN => Admission::Free,
            Some(wait) => Admission::Wait(wait),
            None if self.probing => Admission::Wait(PROBING),
            None => {
                self.probing = true;
                Admission::Probe
            }
        }
    }

    /// How long until the next probe; `None` when there is nothing to wait for.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let remaining = self.until?.saturating_duration_since(now);
        (!remaining.is_zero()).then_some(remaining)
    }

    /// A POST got no answer within its deadline. Says whether the endpoint hangs from now on, or still.
    pub(super) fn hung(&mut self, probe: bool, now: Instant) -> bool {
        self.hangs = self.hangs.saturating_add(1);
        if self.hangs < HANGS_MIN {
            return false;
        }
        if probe || self.until.is_none() {
            let pause = FIRST.saturating_mul(1 << self.probes.min(10)).min(LONGEST);
            self.probes += 1;
            self.until = Some(now + pause);
        }
        true
    }

    /// Any answer, whatever it said, and any failure that came quickly: it does not hang.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The probe ended without a POST, or with one of which nothing was told.
    pub(super) fn probe_ended(&mut self) {
        self.probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_time_outs_are_nothing_and_an_answer_ends_the_row() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..HANGS_MIN {
                assert!(!breaker.hung(false, now));
                assert_eq!(breaker.admit(now), Admission::Free);
            }
            breaker.answered();
        }
    }

    #[test]
    fn rule_17_a_hanging_endpoint_gets_one_probe_at_a_time_with_growing_pauses() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..100 {
            breaker.hung(false, now);
        }
        for secs in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Duration::from_secs(secs);
            assert_eq!(breaker.admit(now), Admission::Wait(pause));
            now += pause;
            assert_eq!(breaker.admit(now), Admission::Probe);
            assert_eq!(breaker.admit(now), Admission::Wait(PROBING), "one at a time");
            assert!(breaker.hung(true, now));
            breaker.probe_ended();
        }
        now += LONGEST;
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.answered();
        assert_eq!(breaker.admit(now), Admission::Free, "it answers again");
    }

    #[test]
    fn a_probe_that_was_never_sent_makes_room_for_another() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..HANGS_MIN {
            breaker.hung(false, now);
        }
        let later = now + FIRST;
        assert_eq!(breaker.admit(later), Admission::Probe);
        breaker.probe_ended();
        assert_eq!(breaker.admit(later), Admission::Probe);
    }
}
