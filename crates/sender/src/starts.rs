//! How a lane's jobs start: a few at once, the others spread.
//!
//! A pack, or a queue that was long, could fill every slot at once. By its next turn each connection would have gone cold,
//! here and at the receiver, who could have had the same requests one after the other as quickly: that takes a sixth more
//! CPU a delivery. So as many jobs as keep fast receivers busy start as soon as earlier ones have ended. What is beyond
//! them starts at a rate that fills the slots in [`FILL`], which nobody notices whose receivers take longer than that; and
//! a job that has taken so long gives its place among the quick ones to another.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Jobs that start without being spread.
const QUICK: usize = 24;
/// How long it takes to fill a lane's slots beyond them, and after how long a job is not quick.
const FILL: Duration = Duration::from_millis(40);
/// What the timer cannot tell apart starts together.
const TICK: Duration = Duration::from_millis(2);

/// Which jobs of one lane may start.
pub(crate) struct Starts {
    in_hand: Arc<Semaphore>,
    quick: Arc<Semaphore>,
    /// Those that started as quick ones less than [`FILL`] ago, ended or not.
    begun: VecDeque<(Instant, Weak<Place>)>,
    ticks: Interval,
    per_tick: usize,
    /// Of this tick.
    left: usize,
}

/// A job's place among those in hand, until it is dropped.
pub(crate) struct Started {
    _in_hand: OwnedSemaphorePermit,
    _quick: Option<Arc<Place>>,
}

/// A place among the quick ones; empty when it was taken away.
type Place = Mutex<Option<OwnedSemaphorePermit>>;

impl Starts {
    /// With so many POSTs under way at most, and so many jobs in hand.
    pub(crate) fn new(slots: usize, in_hand_max: usize) -> Self {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let per_tick = slots.div_ceil((FILL.as_millis() / TICK.as_millis()) as usize);
        let [in_hand, quick] = [in_hand_max, QUICK].map(|places| Arc::new(Semaphore::new(places)));
        Self { in_hand, quick, begun: VecDeque::new(), ticks, per_tick, left: 0 }
    }

    /// Waits until the next job may start.
    pub(crate) async fn next(&mut self) -> Started {
        let in_hand = self.in_hand.clone().acquire_owned().await.expect("the semaphore is never closed");
        Started { _in_hand: in_hand, _quick: self.quick().await }
    }

    /// A place among the quick ones, or none when this job's turn has come without.
    async fn quick(&mut self) -> Option<Arc<Place>> {
        loop {
            let now = Instant::now();
            self.free(now);
            if let Ok(permit) = self.quick.clone().try_acquire_owned() {
                return Some(self.begin(permit, now));
            }
            if self.left > 0 {
                self.left -= 1;
                return None;
            }
            tokio::select! {
                biased;
                permit = self.quick.clone().acquire_owned() => {
                    return permit.ok().map(|permit| self.begin(permit, Instant::now()));
                }
                _ = self.ticks.tick() => self.left = self.per_tick,
            }
        }
    }

    fn begin(&mut self, permit: OwnedSemaphorePermit, now: Instant) -> Arc<Place> {
        let place = Arc::new(Mutex::new(Some(permit)));
        self.begun.push_back((now, Arc::downgrade(&place)));
        place
    }

    /// Takes the places of those that are not quick.
    fn free(&mut self, now: Instant) {
        while let Some((_, place)) = self.begun.pop_front_if(|(begun, _)| now.duration_since(*begun) >= FILL) {
            if let Some(place) = place.upgrade() {
                place.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const SLOTS: usize = 200;

    #[tokio::test(start_paused = true)]
    async fn a_few_start_at_once_and_the_others_fill_the_slots_in_a_while() {
        let mut starts = Starts::new(SLOTS, SLOTS);
        let begun = Instant::now();
        let mut started = Vec::new();
        while started.len() < QUICK {
            started.push(starts.next().await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let mut together = 0;
        while started.len() < SLOTS {
            let before = Instant::now();
            started.push(starts.next().await);
            together = if before.elapsed().is_zero() { together + 1 } else { 1 };
            assert!(together <= starts.per_tick + 1, "{together} at once");
        }
        assert!((FILL * 8 / 10..=FILL).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert!(starts.next().now_or_never().is_none(), "no more in hand");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_makes_room_for_the_next_at_once() {
        let mut starts = Starts::new(SLOTS, SLOTS);
        let mut quick: Vec<Started> = (0..QUICK).filter_map(|_| starts.next().now_or_never()).collect();
        let _spread = at_once(&mut starts);
        let begun = Instant::now();
        for _ in 0..10 * SLOTS {
            assert!(quick.pop().is_some());
            quick.push(starts.next().await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_take_long_hold_up_nobody() {
        let mut starts = Starts::new(SLOTS, SLOTS);
        let _hang = at_once(&mut starts);
        tokio::time::sleep(FILL).await;
        let begun = Instant::now();
        for _ in 0..10 * SLOTS {
            // Ends at once.
            drop(starts.next().await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_time_saves_nothing_up() {
        let mut starts = Starts::new(SLOTS, SLOTS);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(at_once(&mut starts).len(), QUICK + starts.per_tick);
    }

    /// What starts while no time passes.
    fn at_once(starts: &mut Starts) -> Vec<Started> {
        std::iter::from_fn(|| starts.next().now_or_never()).collect()
    }
}
