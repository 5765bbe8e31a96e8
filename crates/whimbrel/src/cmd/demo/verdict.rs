//! Whether the demo went as it should.

use super::stage::{FLAKY_ATTEMPTS, Stage};
use super::tally::{Delivery, Followed, Tally};

/// What went wrong, in words; empty when nothing did.
pub(super) fn faults(stage: &Stage, followed: &Followed) -> Vec<String> {
    let mut faults = Vec::new();
    for set in &stage.sets {
        let name = set.contract.name().as_str();
        let deliveries = followed.deliveries.get(name).map_or(&[][..], Vec::as_slice);
        let tally = followed.tallies.get(name).copied().unwrap_or_default();
        faults.extend(contract_faults(name, set.events.len(), deliveries, tally));
    }
    let retried = followed
        .deliveries
        .values()
        .flatten()
        .any(|delivery| delivery.succeeded() && delivery.attempts == FLAKY_ATTEMPTS);
    if !retried {
        faults.push(format!("no delivery needed {FLAKY_ATTEMPTS} attempts, although a receiver failed twice"));
    }
    faults
}

fn contract_faults(name: &str, expected: usize, deliveries: &[Delivery], tally: Tally) -> Vec<String> {
    let mut faults = Vec::new();
    if deliveries.len() != expected {
        faults
            .push(format!("{name}: {expected} events were published, {} deliveries are in the log", deliveries.len()));
    }
    for delivery in deliveries.iter().filter(|delivery| !delivery.succeeded()) {
        let Delivery { id, event_type, status, attempts, error } = delivery;
        let why = error.as_deref().unwrap_or("no error is logged");
        faults.push(format!("{name}: {event_type} ({id}) is {status} after {attempts} attempts: {why}"));
    }
    if tally.verified != tally.requests {
        faults.push(format!(
            "{name}: {} of {} requests had no valid signature",
            tally.requests - tally.verified,
            tally.requests
        ));
    }
    if tally.requests < expected {
        faults.push(format!("{name}: {} requests came for {expected} events", tally.requests));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(status: &str) -> Delivery {
        Delivery {
            id: "del_1".into(),
            event_type: "user.created".into(),
            status: status.into(),
            attempts: 1,
            error: None,
        }
    }

    #[test]
    fn all_is_well_only_when_everything_came_and_was_verified() {
        let tally = Tally { requests: 1, verified: 1 };
        assert!(contract_faults("generic", 1, &[delivery("success")], tally).is_empty());
        let missing = contract_faults("generic", 2, &[delivery("success")], tally);
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert_eq!(contract_faults("generic", 1, &[delivery("retrying")], tally).len(), 1);
        let forged = contract_faults("generic", 1, &[delivery("success")], Tally { requests: 1, verified: 0 });
        assert_eq!(forged, ["generic: 1 of 1 requests had no valid signature"]);
    }
}
