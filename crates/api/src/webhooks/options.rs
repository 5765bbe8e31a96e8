//! What a webhook's owner may choose besides its address and events.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;
use whimbrel_core::contract::Contract;
use whimbrel_core::endpoint::EndpointOptions;
use whimbrel_core::filter::Filter;
use whimbrel_core::tier::Tier;

use crate::problem::FieldError;
use crate::state::ApiState;

/// Retries of one schedule at most.
const DELAYS_MAX: usize = 32;
const RATE_LIMIT: RangeInclusive<u32> = 1..=10_000;
const IN_FLIGHT: RangeInclusive<u32> = 1..=1_000;
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A field of a change: `None` leaves it, `Some(None)` removes it.
type Field<T> = Option<Option<T>>;

/// Options as they come in a body.
#[derive(Default)]
pub(super) struct RawOptions {
    pub(super) timeout: Field<String>,
    pub(super) rate_limit: Field<u32>,
    pub(super) in_flight_max: Field<u32>,
    pub(super) retry_schedule: Field<Vec<String>>,
    pub(super) filter: Field<Value>,
}

/// A checked change of options.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OptionsChange {
    timeout: Field<Duration>,
    rate_limit: Field<u32>,
    in_flight_max: Field<u32>,
    retry_delays: Field<Vec<Duration>>,
    filter: Field<Filter>,
}

impl RawOptions {
    /// Every option within its bounds, or all that is wrong.
    pub(super) fn check(self, state: &ApiState, contract: &Contract) -> Result<OptionsChange, Vec<FieldError>> {
        let mut errors = Vec::new();
        let change = OptionsChange {
            timeout: checked(self.timeout, &mut errors, |text| timeout(&text, contract)),
            rate_limit: checked(self.rate_limit, &mut errors, |value| within("/rate_limit", value, RATE_LIMIT)),
            in_flight_max: checked(self.in_flight_max, &mut errors, |value| within("/in_flight_max", value, IN_FLIGHT)),
            retry_delays: checked(self.retry_schedule, &mut errors, |texts| schedule(&texts, state)),
            filter: checked(self.filter, &mut errors, |json| filter(&json)),
        };
        if errors.is_empty() { Ok(change) } else { Err(errors) }
    }
}

impl OptionsChange {
    /// Whether it leaves everything as it is.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The options after the change.
    pub(super) fn apply(&self, options: &EndpointOptions) -> EndpointOptions {
        let Self { timeout, rate_limit, in_flight_max, retry_delays, filter } = self.clone();
        EndpointOptions {
            timeout: timeout.unwrap_or(options.timeout),
            rate_limit: rate_limit.unwrap_or(options.rate_limit),
            in_flight_max: in_flight_max.unwrap_or(options.in_flight_max),
            retry_delays: retry_delays.unwrap_or_else(|| options.retry_delays.clone()),
            filter: filter.unwrap_or_else(|| options.filter.clone()),
        }
    }
}

/// A duration as the API shows it: `5s`, `30m`, `2h`.
pub(super) fn shown(duration: Duration) -> String {
    Tier::new(duration).to_string()
}

fn checked<T, U>(
    field: Field<T>,
    errors: &mut Vec<FieldError>,
    check: impl FnOnce(T) -> Result<U, FieldError>,
) -> Field<U> {
    let Some(value) = field? else { return Some(None) };
    check(value).map(Some).map_err(|error| errors.push(error)).ok()
}

fn timeout(text: &str, contract: &Contract) -> Result<Duration, FieldError> {
    let bounds = TIMEOUT_MIN..=contract.timeout();
    humantime::parse_duration(text).ok().filter(|timeout| bounds.contains(timeout)).ok_or_else(|| {
        let (min, max) = (shown(*bounds.start()), shown(*bounds.end()));
        let message = format!("`{text}` is not a duration from {min} to {max}, which is what the contract allows");
        FieldError::new("/timeout", message)
    })
}

fn within(pointer: &str, value: u32, bounds: RangeInclusive<u32>) -> Result<u32, FieldError> {
    let message = || format!("is {value}; it must lie between {} and {}", bounds.start(), bounds.end());
    if bounds.contains(&value) { Ok(value) } else { Err(FieldError::new(pointer, message())) }
}

/// Each delay needs a queue of its own, so only those that some contract has are possible. The whole must end while
/// events are kept (rule 28).
fn schedule(texts: &[String], state: &ApiState) -> Result<Vec<Duration>, FieldError> {
    if texts.len() > DELAYS_MAX {
        let message = format!("has {} entries; at most {DELAYS_MAX} are possible", texts.len());
        return Err(FieldError::new("/retry_schedule", message));
    }
    let possible = state.contracts.distinct_delays();
    let delay = |(place, text): (usize, &String)| {
        let delay = humantime::parse_duration(text).ok().filter(|delay| possible.contains(delay));
        delay.ok_or_else(|| {
            let list = possible.iter().copied().map(shown).collect::<Vec<_>>().join(", ");
            let message = format!("`{text}` is not a delay of this deployment; possible are {list}");
            FieldError::new(format!("/retry_schedule/{place}"), message)
        })
    };
    let delays: Vec<Duration> = texts.iter().enumerate().map(delay).collect::<Result<_, _>>()?;
    let longest = state.settings.retention.saturating_sub(state.settings.idempotency_window);
    let total: Duration = delays.iter().sum();
    if total > longest {
        let (total, longest) = (shown(total), shown(longest));
        let message = format!("spans {total} in all; events are kept long enough for {longest}");
        return Err(FieldError::new("/retry_schedule", message));
    }
    Ok(delays)
}

fn filter(json: &Value) -> Result<Filter, FieldError> {
    Filter::parse(json).map_err(|error| FieldError::new(format!("/filter{}", error.pointer), error.message))
}
