//! The rules an event must meet before it is queued.

use std::time::Duration;

use bytes::Bytes;

use crate::contract::Contract;
use crate::id::EventId;
use crate::problem::Rejection;
use crate::render::{RenderError, Rendered, render};
use crate::subscription::EventType;
use crate::tenant::TenantLimits;
use crate::time::Timestamp;

/// How far ahead an event may lie: a publisher's clock may be wrong, but not by more.
const AHEAD_MAX: Duration = Duration::from_hours(24);

/// When an event may have happened (rule 28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Now.
    pub now: Timestamp,
    /// How long events are kept.
    pub retention: Duration,
}

/// Checks a publisher's event against its tenant's contract, and renders its body on the way: the
/// payload limit holds for what goes out (rule 34).
///
/// Whimbrel's own events skip this and go through [`render_within`].
pub fn validate(
    contract: &Contract,
    id: EventId,
    event_type: &EventType,
    data: &Bytes,
    occurred_at: Timestamp,
    window: Window,
) -> Result<Rendered, Rejection> {
    check_type(contract, event_type)?;
    check_time(occurred_at, window)?;
    render_within(contract, id, event_type, occurred_at, data)
}

/// Renders a body within the contract's payload limit.
pub fn render_within(
    contract: &Contract,
    id: EventId,
    event_type: &EventType,
    occurred_at: Timestamp,
    data: &Bytes,
) -> Result<Rendered, Rejection> {
    render(contract, &id.to_string(), event_type.as_str(), occurred_at, data).map_err(|error| match &error {
        RenderError::NotJson(_) => Rejection::new("not_json", "/data", error.to_string()),
        RenderError::TooLarge { .. } => Rejection::new("oversize", "/data", error.to_string()),
        RenderError::Time => Rejection::new("bad_time", "/occurred_at", error.to_string()),
    })
}

/// Checks a rendered body against its tenant's own limit, which lies below the contract's.
pub fn check_payload(limits: TenantLimits, bytes: usize) -> Result<(), Rejection> {
    match limits.payload_bytes {
        Some(limit) if bytes > limit => {
            let message = format!("the rendered payload has {bytes} bytes; {limit} are this tenant's limit");
            Err(Rejection::new("oversize", "/data", message))
        }
        _ => Ok(()),
    }
}

fn check_type(contract: &Contract, event_type: &EventType) -> Result<(), Rejection> {
    if event_type.is_system() {
        let message = format!("`{event_type}` is one of Whimbrel's own event types and cannot be published");
        return Err(Rejection::new("reserved_type", "/type", message));
    }
    if contract.catalogue().allows(event_type) {
        return Ok(());
    }
    let name = contract.name();
    let message = format!("`{event_type}` is not in the catalogue of the contract `{name}`, which is closed");
    Err(Rejection::new("unknown_type", "/type", message))
}

fn check_time(occurred_at: Timestamp, window: Window) -> Result<(), Rejection> {
    let earliest = window.now.before(window.retention);
    let latest = window.now + AHEAD_MAX;
    if (earliest..=latest).contains(&occurred_at) {
        return Ok(());
    }
    let message = format!("{occurred_at} lies outside {earliest} to {latest}, between which events can be accepted");
    Err(Rejection::new("bad_time", "/occurred_at", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::ContractSet;

    const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
    const DAY: Duration = Duration::from_hours(24);

    fn try_one(contract: &str, event_type: &str, data: &str, at: Timestamp) -> Result<Rendered, Rejection> {
        let set = ContractSet::built_in();
        let contract = set.get(&contract.parse().expect("a name")).expect("a built-in contract");
        let event_type = EventType::try_new(event_type).expect("a type");
        let id = EventId::generate(NOW, [1; 10]);
        let window = Window { now: NOW, retention: 30 * DAY };
        validate(contract, id, &event_type, &Bytes::copy_from_slice(data.as_bytes()), at, window)
    }

    fn reason(contract: &str, event_type: &str, data: &str) -> &'static str {
        try_one(contract, event_type, data, NOW).map_or_else(|rejection| rejection.reason, |_| "accepted")
    }

    #[test]
    fn a_closed_catalogue_refuses_other_types_and_an_open_one_does_not() {
        assert_eq!(reason("bitbybit", "customer.created", "{}"), "accepted");
        assert_eq!(reason("bitbybit", "user.created", "{}"), "unknown_type");
        assert_eq!(reason("eightbit", "user.created", "{}"), "unknown_type");
        assert_eq!(reason("generic", "my.own_type", "{}"), "accepted");
        assert_eq!(reason("standard", "my.own_type", "{}"), "accepted");
    }

    #[test]
    fn rule_11_nobody_publishes_the_systems_own_types() {
        for contract in ["bitbybit", "eightbit", "generic", "standard"] {
            for event_type in ["webhook.test", "endpoint.suspended", "delivery.exhausted"] {
                assert_eq!(reason(contract, event_type, "{}"), "reserved_type", "{contract} {event_type}");
            }
        }
    }

    #[test]
    fn rule_34_the_limit_holds_for_the_rendered_body() {
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        assert_eq!(reason("bitbybit", "customer.created", &text(65_536)), "accepted");
        assert_eq!(reason("bitbybit", "customer.created", &text(65_537)), "oversize");
        assert_eq!(reason("standard", "a.b", &text(262_144)), "oversize", "the envelope counts");
        let spacious = format!("[1,{}2]", " ".repeat(300_000));
        assert_eq!(reason("generic", "user.created", &spacious), "accepted", "white space is not rendered");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{'a':1}", "1 2", "NaN"] {
            assert_eq!(reason("generic", "user.created", text), "not_json", "{text}");
        }
        for text in ["null", "1", "\"text\"", "[]", " {} "] {
            assert_eq!(reason("generic", "user.created", text), "accepted", "{text}");
        }
    }

    #[test]
    fn rule_28_events_lie_within_the_retention_and_a_day_ahead() {
        let accepted = |at| try_one("generic", "user.created", "{}", at).is_ok();
        assert!(accepted(NOW.before(30 * DAY)) && accepted(NOW + DAY));
        let second = Duration::from_secs(1);
        assert!(!accepted(NOW.before(30 * DAY + second)) && !accepted(NOW + DAY + second));
        assert!(!accepted(Timestamp::from_micros(i64::MIN)) && !accepted(Timestamp::from_micros(i64::MAX)));
    }
}
