//! How fast the lanes behind the live one may start jobs, so that live traffic does not notice them.
//!
//! Slots bound how many POSTs are under way, and say nothing of the machine: a wave of retries or a release fills the
//! processors of sender, broker and store alike, and every fresh event waits behind it, wherever it is. What all of that
//! comes to shows in one place, the time from an event's acceptance to its first attempt. So this does what background
//! transports do on a network (LEDBAT, RFC 6817): it keeps the least such time as the base, and lets the others go
//! faster for as long as live traffic stays near it. The base is of the same clocks as the rest, so a sender's clock that
//! is ahead does no harm; one that is behind sees no wait, and then nothing yields (readiness tells of such clocks).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// By how much live traffic may be later than its base: on the whole, and one event among many.
const MEAN_MAX: Duration = Duration::from_micros(1_500);
const ONE_MAX: Duration = Duration::from_millis(5);
/// How often the rate changes, by what began in that time.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long a base stands, at least; twice that at most.
const BASE_STANDS: Duration = Duration::from_secs(30);
/// Starts a second. The least is what the lanes behind are owed however late live traffic is (rule 15); the most is more
/// than a process can do.
const LEAST: f64 = 250.0;
const FIRST: f64 = 1_000.0;
const MOST: f64 = 50_000.0;
const FASTER: f64 = 1.05;
const SLOWER: f64 = 0.8;
/// What the timer cannot tell apart goes out together.
const GRAIN: Duration = Duration::from_millis(1);

/// The rate at which jobs behind the live lane are started.
pub(crate) struct Headroom {
    state: Mutex<State>,
}

struct State {
    rate: f64,
    /// When the next job may start.
    next: Instant,
    /// The least mean in this stretch, and in the one before.
    base: [Option<Duration>; 2],
    base_since: Instant,
    /// Of this interval.
    waits: Waits,
    starts: f64,
    interval_since: Instant,
}

/// How long live events waited for their first attempts.
#[derive(Default)]
struct Waits {
    all: Duration,
    count: u32,
    longest: Duration,
}

impl Headroom {
    /// Begins at a moderate rate.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let state = State {
            rate: FIRST,
            next: now,
            base: [None; 2],
            base_since: now,
            waits: Waits::default(),
            starts: 0.0,
            interval_since: now,
        };
        Self { state: Mutex::new(state) }
    }

    /// A first attempt of the live lane begins, so long after its event was accepted.
    pub(crate) fn live(&self, waited: Duration) {
        let mut state = self.state();
        state.adjust(Instant::now());
        let waits = &mut state.waits;
        waits.all += waited;
        waits.count += 1;
        waits.longest = waits.longest.max(waited);
    }

    /// Waits until one more job may start.
    pub(crate) async fn take(&self) {
        let start = self.state().take(Instant::now());
        if let Some(start) = start {
            sleep_until(start).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When the next may start; `None` is at once.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        self.adjust(now);
        self.starts += 1.0;
        self.next = self.next.max(now) + Duration::from_secs_f64(self.rate.recip());
        (self.next > now + GRAIN).then_some(self.next)
    }

    fn adjust(&mut self, now: Instant) {
        if now.duration_since(self.interval_since) < INTERVAL {
            return;
        }
        self.interval_since = now;
        let Waits { all, count, longest } = std::mem::take(&mut self.waits);
        let mean = (count > 0).then(|| all / count);
        let is_late =
            mean.zip(self.base()).is_some_and(|(mean, base)| mean > base + MEAN_MAX || longest > base + ONE_MAX);
        let starts = std::mem::take(&mut self.starts);
        self.rate = match starts {
            // What was right before a pause need not be right after it.
            0.0 => self.rate.min(FIRST),
            _ if is_late => (self.rate * SLOWER).max(LEAST),
            // A rate that is not used shows nothing.
            _ if starts < self.rate * INTERVAL.as_secs_f64() / 2.0 => self.rate,
            _ => (self.rate * FASTER).min(MOST),
        };
        self.base[0] = self.base[0].into_iter().chain(mean).min();
        if now.duration_since(self.base_since) >= BASE_STANDS {
            self.base_since = now;
            self.base = [None, self.base[0]];
        }
    }

    fn base(&self) -> Option<Duration> {
        self.base.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Duration = Duration::from_millis(4);

    /// Starts a second over the time, while live traffic waits as `waits` says.
    async fn starts(headroom: &Headroom, time: Duration, waits: impl Fn(f64) -> Duration) -> f64 {
        let end = Instant::now() + time;
        let (mut count, mut mark, mut since) = (0.0, Instant::now(), 0.0);
        while Instant::now() < end {
            headroom.take().await;
            count += 1.0;
            since += 1.0;
            // Fifty live events a second.
            let elapsed = mark.elapsed();
            if elapsed >= Duration::from_millis(20) {
                headroom.live(waits(since / elapsed.as_secs_f64()));
                (mark, since) = (Instant::now(), 0.0);
            } else if elapsed.is_zero() && since > 1_000.0 {
                // Time is paused and moves only when somebody sleeps.
                tokio::time::sleep(GRAIN).await;
            }
        }
        count / time.as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn rule_15_without_live_traffic_the_rate_grows_and_late_live_traffic_leaves_the_least() {
        let headroom = Headroom::new();
        let _ = starts(&headroom, Duration::from_secs(5), |_| CALM).await;
        let free = starts(&headroom, Duration::from_secs(1), |_| CALM).await;
        assert!(free > 5.0 * FIRST, "{free}");
        let _ = starts(&headroom, Duration::from_secs(3), |_| CALM * 10).await;
        let late = starts(&headroom, Duration::from_secs(4), |_| CALM * 10).await;
        assert!((0.8 * LEAST..1.3 * LEAST).contains(&late), "{late}");
    }

    #[tokio::test(start_paused = true)]
    async fn rule_15_it_settles_near_what_leaves_live_traffic_in_time() {
        // Above 2,000 a second live traffic waits, the longer the more.
        let waits = |rate: f64| CALM + Duration::from_secs_f64((rate - 2_000.0).max(0.0) / 1e5);
        let headroom = Headroom::new();
        let _ = starts(&headroom, Duration::from_secs(5), waits).await;
        let settled = starts(&headroom, Duration::from_secs(10), waits).await;
        assert!((1_500.0..3_000.0).contains(&settled), "{settled}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_base_that_is_gone_is_forgotten() {
        let headroom = Headroom::new();
        let _ = starts(&headroom, Duration::from_secs(1), |_| CALM).await;
        // Say, another machine's clock was set: from now on everything seems later.
        let _ = starts(&headroom, BASE_STANDS * 2 + Duration::from_secs(5), |_| CALM * 10).await;
        let settled = starts(&headroom, Duration::from_secs(1), |_| CALM * 10).await;
        assert!(settled > FIRST, "{settled}");
    }
}
