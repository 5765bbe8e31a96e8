//! A UTC day, written `2026-01-15`.

use std::fmt;

use serde::{Deserialize, Deserializer};
use whimbrel_core::Timestamp;

const SECONDS: i64 = 24 * 3_600;

/// A UTC day, as the number of days since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day(i64);

impl Day {
    /// The day in which this moment lies.
    pub(super) fn of(at: Timestamp) -> Self {
        Self(at.as_secs().div_euclid(SECONDS))
    }

    /// The day after.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// So many days earlier.
    pub(super) fn back(self, days: i64) -> Self {
        Self(self.0 - days)
    }

    /// How many days lie between this one and a later one; negative for an earlier one.
    pub(super) fn until(self, later: Self) -> i64 {
        later.0 - self.0
    }

    /// Its first moment.
    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_secs(self.0 * SECONDS)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_string();
        f.write_str(start.split('T').next().unwrap_or(&start))
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let midnight = format!("{text}T00:00:00Z").parse::<Timestamp>();
        midnight
            .map(Self::of)
            .map_err(|_| serde::de::Error::custom(format!("`{text}` is not a day such as 2026-01-15")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_and_shown_and_has_a_beginning() {
        let day: Day = serde_json::from_str(r#""2026-01-15""#).expect("a day");
        assert_eq!(day.to_string(), "2026-01-15");
        assert_eq!(Day::of(day.start() + std::time::Duration::from_hours(24)), day.next());
        assert_eq!(day.next().back(1), day);
        assert_eq!((day.until(day.next()), day.next().until(day)), (1, -1));
        for text in [r#""2026-1-5""#, r#""2026-02-30""#, r#""2026-01-15T00:00:00Z""#, r#""""#, "7"] {
            assert!(serde_json::from_str::<Day>(text).is_err(), "{text}");
        }
    }
}
