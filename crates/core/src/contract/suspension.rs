//! When an endpoint is suspended or slowed.

use std::time::Duration;

use serde::Deserialize;

use super::check::{Invalid, duration, ensure, within};

const PERIOD_MIN: Duration = Duration::from_hours(24);
const PERIOD_MAX: Duration = Duration::from_hours(90 * 24);

/// When an endpoint is suspended or slowed. Each rule can be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suspension {
    /// Suspend after this many failed attempts in a row, across all deliveries (rule 13).
    pub consecutive_failures: Option<u32>,
    /// Suspend after nothing but failures for a period.
    pub failing_for: Option<FailingFor>,
    /// Statuses by which a receiver says that it is gone for good: the endpoint is suspended at once.
    pub gone_statuses: Vec<u16>,
    /// Statuses by which a receiver asks for fewer requests: the endpoint's others wait too.
    pub throttle_statuses: Vec<u16>,
}

/// "Failing throughout": the first failure since the last success lies this far back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailingFor {
    /// How far back; at least a day.
    pub period: Duration,
    /// Over how many attempts at least.
    pub attempts_min: u32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSuspension {
    consecutive_failures: Option<u32>,
    failing_for: Option<RawFailingFor>,
    #[serde(default)]
    gone_statuses: Vec<u16>,
    #[serde(default)]
    throttle_statuses: Vec<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFailingFor {
    period: String,
    attempts_min: u32,
}

impl RawSuspension {
    pub(super) fn check(self) -> Result<Suspension, Invalid> {
        if let Some(limit) = self.consecutive_failures {
            within("suspension.consecutive_failures", limit, 1..=u32::MAX)?;
        }
        check_statuses("suspension.gone_statuses", &self.gone_statuses)?;
        check_statuses("suspension.throttle_statuses", &self.throttle_statuses)?;
        for status in &self.throttle_statuses {
            let apart = !self.gone_statuses.contains(status);
            ensure(apart, "suspension.throttle_statuses", format!("{status} stands in suspension.gone_statuses too"))?;
        }
        Ok(Suspension {
            consecutive_failures: self.consecutive_failures,
            failing_for: self.failing_for.map(RawFailingFor::check).transpose()?,
            gone_statuses: self.gone_statuses,
            throttle_statuses: self.throttle_statuses,
        })
    }
}

impl RawFailingFor {
    fn check(self) -> Result<FailingFor, Invalid> {
        let period = duration("suspension.failing_for.period", &self.period, PERIOD_MAX)?;
        ensure(period >= PERIOD_MIN, "suspension.failing_for.period", "must be at least 1d")?;
        let attempts_min = within("suspension.failing_for.attempts_min", self.attempts_min, 1..=u32::MAX)?;
        Ok(FailingFor { period, attempts_min })
    }
}

fn check_statuses(field: &str, statuses: &[u16]) -> Result<(), Invalid> {
    for (place, status) in statuses.iter().enumerate() {
        within(&format!("{field}[{place}]"), *status, 300..=599)?;
    }
    Ok(())
}
