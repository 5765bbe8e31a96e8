//! The schedule of retries.

use std::time::Duration;

use serde::Deserialize;

use super::check::{Invalid, duration, ensure};

const DELAYS_MAX: usize = 32;
const DELAY_MAX: Duration = Duration::from_hours(7 * 24);
const JITTER_MAX: f64 = 0.1;

/// The schedule of retries: one delay per retry, so one attempt more than delays.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    delays: Vec<Duration>,
    jitter: f64,
    obeyed_max: Option<Duration>,
}

impl Retry {
    /// The delays, first retry first.
    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// The largest fraction by which a delay is lengthened, `0.0..=0.1`.
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// From the first attempt to the last one at most, as long as nobody asks for more time.
    pub fn longest(&self) -> Duration {
        let scheduled: Duration = self.delays.iter().sum();
        scheduled + scheduled.mul_f64(self.jitter)
    }

    /// Up to how long a receiver's `Retry-After` is obeyed beyond the schedule; `None` where the contract ignores it.
    pub fn retry_after_max(&self) -> Option<Duration> {
        self.obeyed_max
    }

    /// The same with an endpoint's own delays.
    #[must_use]
    pub fn with_delays(&self, delays: &[Duration]) -> Self {
        Self { delays: delays.to_vec(), ..*self }
    }

    /// The delay after the failed attempt at `position`, counted from 1; `None` after the last attempt. `jitter01`
    /// lies in `0.0..=1.0`; it only ever lengthens the delay (rule 23).
    pub fn after(&self, position: u32, jitter01: f64) -> Option<Duration> {
        let place = usize::try_from(position.max(1) - 1).ok()?;
        let delay = *self.delays.get(place)?;
        Some(delay + delay.mul_f64(self.jitter * jitter01.clamp(0.0, 1.0)))
    }

    /// Every delay multiplied, in whole milliseconds, rounded up and at least one: a tier queue's unit.
    pub(super) fn scaled(self, factor: f64) -> Self {
        let scale = |delay: Duration| {
            let scaled = Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay).min(DELAY_MAX);
            let millis = u64::try_from(scaled.as_nanos().div_ceil(1_000_000)).expect("seven days fit");
            Duration::from_millis(millis.max(1))
        };
        Self { delays: self.delays.into_iter().map(scale).collect(), obeyed_max: self.obeyed_max.map(scale), ..self }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetry {
    delays: Vec<String>,
    #[serde(default)]
    jitter: f64,
    retry_after_max: Option<String>,
}

impl RawRetry {
    pub(super) fn check(self) -> Result<Retry, Invalid> {
        ensure(self.delays.len() <= DELAYS_MAX, "retry.delays", format!("must be at most {DELAYS_MAX}"))?;
        let delays = self
            .delays
            .iter()
            .enumerate()
            .map(|(place, text)| duration(&format!("retry.delays[{place}]"), text, DELAY_MAX))
            .collect::<Result<_, _>>()?;
        let holds = (0.0..=JITTER_MAX).contains(&self.jitter);
        ensure(holds, "retry.jitter", format!("must lie between 0 and {JITTER_MAX}"))?;
        let obeyed_max =
            self.retry_after_max.map(|text| duration("retry.retry_after_max", &text, DELAY_MAX)).transpose()?;
        Ok(Retry { delays, jitter: self.jitter, obeyed_max })
    }
}
