//! Delay tiers: one queue per distinct delay. A delay that is no tier is made of hops.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The hops for jobs over their endpoint's cap (rule 17), also used for what remains of a delay.
pub const HOPS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];

/// How late a hop may end at most, beyond its time.
const SLACK_MAX: Duration = Duration::from_millis(500);

/// One delay, named for itself: `30s`, `5m`, `2h`; a scaled one `150ms`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tier(Duration);

impl Tier {
    /// The tier of this delay, in whole milliseconds and at least one.
    pub fn new(delay: Duration) -> Self {
        Self(Duration::from_millis(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX).max(1)))
    }

    /// How long a message waits in it.
    pub const fn delay(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Tier {
    /// The largest unit that gives a whole number, up to hours.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let whole = |unit: u128| millis.is_multiple_of(unit);
        match millis {
            _ if whole(3_600_000) => write!(f, "{}h", millis / 3_600_000),
            _ if whole(60_000) => write!(f, "{}m", millis / 60_000),
            _ if whole(1_000) => write!(f, "{}s", millis / 1_000),
            _ => write!(f, "{millis}ms"),
        }
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Every tier of a deployment: the delays of its contracts and the hops. Clones are the same tiers: a reload that adds
/// some adds them everywhere.
#[derive(Debug, Clone)]
pub struct Tiers(Arc<RwLock<Vec<Tier>>>);

impl Tiers {
    /// From the contracts' distinct delays; the hops are added.
    pub fn new(delays: impl IntoIterator<Item = Duration>) -> Self {
        let mut tiers: Vec<Tier> = delays.into_iter().chain(HOPS).map(Tier::new).collect();
        tiers.sort_unstable();
        tiers.dedup();
        Self(Arc::new(RwLock::new(tiers)))
    }

    /// Shortest first.
    pub fn iter(&self) -> impl Iterator<Item = Tier> + use<> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().into_iter()
    }

    /// Whether it is one of them.
    pub fn has(&self, tier: Tier) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).binary_search(&tier).is_ok()
    }

    /// Adds these, for every clone. None is ever taken out: what waits in one still has to come out of it.
    pub fn add(&self, more: impl IntoIterator<Item = Tier>) {
        let mut tiers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tiers.extend(more);
        tiers.sort_unstable();
        tiers.dedup();
    }

    /// The largest tier that does not exceed `remaining`, or exceeds it by no more than the time it took to get
    /// here: a delay that is a tier is one hop, although a little of it has passed. The smallest one if all do.
    pub fn hop(&self, remaining: Duration) -> Tier {
        let remaining = remaining + SLACK_MAX.min(remaining / 20);
        let tiers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let fitting = tiers.partition_point(|tier| tier.delay() <= remaining);
        tiers[fitting.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |millis| Tier::new(Duration::from_millis(millis)).to_string();
        assert_eq!(
            [name(5_000), name(90_000), name(300_000), name(7_200_000), name(86_400_000), name(150)],
            ["5s", "90s", "5m", "2h", "24h", "150ms"]
        );
    }

    #[test]
    fn rule_26_what_a_reload_adds_is_there_for_every_clone() {
        let tiers = Tiers::new([]);
        let clone = tiers.clone();
        let minute = Tier::new(Duration::from_mins(1));
        assert!(!clone.has(minute));
        tiers.add([minute, minute]);
        assert!(clone.has(minute) && clone.iter().count() == HOPS.len() + 1);
        assert_eq!(clone.hop(Duration::from_secs(90)), minute);
    }

    #[test]
    fn a_hop_is_the_largest_that_fits() {
        let tiers = Tiers::new([30, 300].map(Duration::from_secs));
        let hop = |secs| tiers.hop(Duration::from_secs(secs)).delay().as_secs();
        assert_eq!([hop(0), hop(1), hop(29), hop(30), hop(299), hop(100_000)], [1, 1, 10, 30, 30, 300]);
        assert_eq!(tiers.hop(Duration::from_millis(29_700)).delay().as_secs(), 30, "what passed since the verdict");
    }
}
