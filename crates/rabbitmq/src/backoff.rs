//! Pauses between tries that grow, with jitter so that many processes do not come back at the same moment.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::port::Clock;

const FIRST: Duration = Duration::from_millis(100);
/// Short enough that work goes on well within ten seconds of the broker's return.
pub(crate) const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 100 ms to 5 s; each pause is cut by up to a half.
pub(crate) struct Backoff {
    clock: Arc<dyn Clock>,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, next: FIRST }
    }

    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(1.0 - self.clock.fraction() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::port::SystemClock;

    use super::*;

    #[test]
    fn grows_to_its_limit_and_starts_over() {
        let mut backoff = Backoff::new(Arc::new(SystemClock));
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST, "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| *pause >= LONGEST / 2 && *pause <= LONGEST), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
