//! What engines need not look up to settle: nearly everything.
//!
//! When a first attempt has succeeded, its delivery is nearly always as it was made: pending, in its first round. An engine
//! takes that for a fact and makes sure of it when it writes, or by a count, which saves reading the row.

use std::collections::{BTreeMap, HashMap};

use crate::delivery::{Delivery, DeliveryState};
use crate::id::DeliveryId;
use crate::outcome::Outcome;
use crate::port::DeliveryChange;
use crate::time::Timestamp;

/// Deliveries that succeeded at their first attempt, at the same time and with the same status code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// The receiver's.
    pub status_code: Option<u16>,
    /// Which.
    pub deliveries: Vec<DeliveryId>,
}

/// The deliveries whose first attempt succeeded, as they are if they still await it. Those of which there are more
/// outcomes are not among them.
pub fn awaited(outcomes: &[Outcome]) -> HashMap<DeliveryId, Delivery> {
    let mut found: HashMap<DeliveryId, Option<Delivery>> = HashMap::with_capacity(outcomes.len());
    for outcome in outcomes {
        let is_first = (outcome.round, outcome.attempt) == (1, 1) && outcome.is_success();
        let others = found.entry(outcome.delivery).and_modify(|delivery| *delivery = None);
        others.or_insert_with(|| is_first.then(|| as_made(outcome)));
    }
    found.into_iter().filter_map(|(id, delivery)| Some((id, delivery?))).collect()
}

fn as_made(outcome: &Outcome) -> Delivery {
    let Outcome { delivery: id, event, endpoint, .. } = *outcome;
    Delivery { id, event, endpoint, state: DeliveryState::Pending, round: 1, first_attempt: 1, attempt: 1 }
}

/// Parts the changes: those that only say that an awaited first attempt succeeded, put together, and the others.
pub fn part<'a>(
    changes: &'a [DeliveryChange],
    awaited: &HashMap<DeliveryId, Delivery>,
) -> (Vec<Ended>, Vec<&'a DeliveryChange>) {
    let mut alike: BTreeMap<(Timestamp, Option<u16>), Vec<DeliveryId>> = BTreeMap::new();
    let mut others = Vec::new();
    for change in changes {
        match success(change).filter(|_| awaited.contains_key(&change.delivery.id)) {
            Some(end) => alike.entry(end).or_default().push(change.delivery.id),
            None => others.push(change),
        }
    }
    let ended = |((at, status_code), deliveries)| Ended { at, status_code, deliveries };
    (alike.into_iter().map(ended).collect(), others)
}

/// When, and with which status code, if that is all the change says.
fn success(change: &DeliveryChange) -> Option<(Timestamp, Option<u16>)> {
    match change {
        DeliveryChange {
            delivery: Delivery { state: DeliveryState::Succeeded { at }, round: 1, first_attempt: 1, attempt: 1, .. },
            attempts_added: 1,
            last: Some((status_code, None)),
            sweep_at: None,
        } => Some((*at, *status_code)),
        _ => None,
    }
}
