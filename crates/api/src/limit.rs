//! How many events a key may send in a second (rule 35): a token bucket per key and tenant, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use whimbrel_core::{TenantId, Timestamp};

use crate::auth::Actor;

/// Buckets at most. Full ones are forgotten first: a bucket that is not there is a full one.
const BUCKETS_MAX: usize = 10_000;

/// The buckets of a process.
#[derive(Default)]
pub(crate) struct Rates(Mutex<HashMap<(Actor, TenantId), Bucket>>);

/// What was left at a time; below zero after a batch larger than the bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    level: f64,
    at: Timestamp,
}

impl Rates {
    /// Takes `cost` events out of the bucket of this key and tenant, which holds what one second allows. Otherwise
    /// says how long it takes until they are there. What is larger than the bucket is let in when that is full, and
    /// paid for afterwards.
    pub(crate) fn take(
        &self,
        who: (Actor, &TenantId),
        per_second: u32,
        cost: usize,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (who.0, who.1.clone());
        let rate = f64::from(per_second.max(1));
        let level = buckets.get(&key).map_or(rate, |bucket| bucket.level_at(now, rate));
        let cost = f64::from(u32::try_from(cost).unwrap_or(u32::MAX));
        let missing = cost.min(rate) - level;
        if missing > 0.0 {
            return Err(Duration::try_from_secs_f64(missing / rate).unwrap_or(Duration::MAX));
        }
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            make_room(&mut buckets, now);
        }
        buckets.insert(key, Bucket { level: level - cost, at: now });
        Ok(())
    }
}

impl Bucket {
    fn level_at(self, now: Timestamp, rate: f64) -> f64 {
        (self.level + now.since(self.at).as_secs_f64() * rate).min(rate)
    }
}

/// Forgets the buckets that nothing was taken from for a second and that owe nothing; all of them when that is not
/// enough, since to let a second's worth in once more is better than to grow without end.
fn make_room(buckets: &mut HashMap<(Actor, TenantId), Bucket>, now: Timestamp) {
    let second = Duration::from_secs(1);
    buckets.retain(|_, bucket| bucket.level < 0.0 || now.since(bucket.at) < second);
    if buckets.len() >= BUCKETS_MAX {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_768_478_400);

    fn take(rates: &Rates, cost: usize, after_ms: u64) -> Result<(), Duration> {
        let tenant = TenantId::default();
        rates.take((Actor::Configured, &tenant), 10, cost, NOW + Duration::from_millis(after_ms))
    }

    #[test]
    fn a_second_has_its_worth_and_no_more() {
        let rates = Rates::default();
        for _ in 0..10 {
            assert_eq!(take(&rates, 1, 0), Ok(()));
        }
        assert_eq!(take(&rates, 1, 0), Err(Duration::from_millis(100)));
        assert_eq!(take(&rates, 1, 100), Ok(()));
        assert_eq!(take(&rates, 10, 1_099), Err(Duration::from_millis(1)));
        assert_eq!(take(&rates, 10, 3_600_000), Ok(()), "it does not hold more than a second's worth");
        assert!(take(&rates, 1, 3_600_000).is_err());
    }

    #[test]
    fn a_batch_larger_than_the_bucket_is_let_in_once_and_paid_for() {
        let rates = Rates::default();
        assert_eq!(take(&rates, 35, 0), Ok(()));
        assert_eq!(take(&rates, 1, 2_500), Err(Duration::from_millis(100)), "25 are owed");
        assert_eq!(take(&rates, 35, 3_000), Err(Duration::from_millis(500)), "half full is not full");
        assert_eq!(take(&rates, 35, 3_500), Ok(()));
    }

    #[test]
    fn each_key_and_tenant_has_its_own_and_a_clock_that_steps_back_gives_nothing() {
        let rates = Rates::default();
        assert_eq!(take(&rates, 10, 5_000), Ok(()));
        assert_eq!(take(&rates, 1, 0), Err(Duration::from_millis(100)));
        let other = TenantId::try_new("other").expect("a tenant id");
        assert_eq!(rates.take((Actor::Configured, &other), 10, 10, NOW), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded_and_debts_are_kept() {
        let rates = Rates::default();
        assert_eq!(take(&rates, 100, 0), Ok(()));
        let later = NOW + Duration::from_secs(2);
        for number in 0..BUCKETS_MAX + 5 {
            let tenant = TenantId::try_new(&format!("t{number}")).expect("a tenant id");
            let at = if number < BUCKETS_MAX / 2 { NOW } else { later };
            assert_eq!(rates.take((Actor::Configured, &tenant), 10, 1, at), Ok(()));
        }
        assert!(rates.0.lock().expect("nothing panicked").len() <= BUCKETS_MAX);
        assert!(take(&rates, 1, 2_000).is_err(), "what is owed is not forgotten");
    }
}
