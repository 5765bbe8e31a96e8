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

/// Deliveries as they are if they still await their first attempt.
pub type Awaited = HashMap<DeliveryId, Delivery>;

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

/// The deliveries whose first attempt succeeded. Those of which there are more outcomes are not among them.
pub fn awaited(outcomes: &[Outcome]) -> Awaited {
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
pub fn part<'a>(changes: &'a [DeliveryChange], awaited: &Awaited) -> (Vec<Ended>, Vec<&'a DeliveryChange>) {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::TraceContext;
    use crate::id::{EndpointId, EventId, ExecutionId};
    use crate::outcome::{Attempted, ErrorKind, Fate, Reply};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn delivery(number: u8) -> Delivery {
        let (event, endpoint) = (EventId::generate(NOW, [number; 10]), EndpointId::generate(NOW, [0; 10]));
        Delivery::new(event, endpoint, DeliveryState::Pending)
    }

    fn outcome(delivery: &Delivery, fate: Fate) -> Outcome {
        Outcome {
            delivery: delivery.id,
            event: delivery.event,
            endpoint: delivery.endpoint,
            round: 1,
            attempt: 1,
            contract: "standard".parse().expect("a contract's name"),
            trace: TraceContext::default(),
            fate,
        }
    }

    fn attempted(reply: Reply) -> Fate {
        let execution = ExecutionId::generate(NOW, [0; 10]);
        Fate::Attempted(Attempted { execution, started_at: NOW, duration: Duration::from_millis(1), reply })
    }

    fn answered(status: u16) -> Fate {
        attempted(Reply::Response { status, body: bytes::Bytes::new(), retry_after: None })
    }

    #[test]
    fn only_first_successes_are_awaited_and_only_alone() {
        let [first, failed, late, twice, timed_out, deferred] = [1, 2, 3, 4, 5, 6].map(delivery);
        let error = Reply::Error { kind: ErrorKind::Timeout, message: String::new() };
        let outcomes = [
            outcome(&first, answered(204)),
            outcome(&failed, answered(500)),
            Outcome { attempt: 2, ..outcome(&late, answered(200)) },
            outcome(&twice, answered(200)),
            outcome(&twice, answered(200)),
            outcome(&timed_out, attempted(error)),
            outcome(&deferred, Fate::Deferred),
        ];
        assert_eq!(awaited(&outcomes), HashMap::from([(first.id, first)]));
        let replayed = Outcome { round: 2, ..outcome(&first, answered(200)) };
        assert_eq!(awaited(&[replayed]), HashMap::new());
    }

    fn success(delivery: Delivery, at: Timestamp, status: u16) -> DeliveryChange {
        DeliveryChange {
            delivery: Delivery { state: DeliveryState::Succeeded { at }, ..delivery },
            attempts_added: 1,
            last: Some((Some(status), None)),
            sweep_at: None,
        }
    }

    #[test]
    fn ends_are_put_together_where_they_are_alike() {
        let [a, b, c, other] = [1, 2, 3, 4].map(delivery);
        let known = HashMap::from([a, b, c].map(|delivery| (delivery.id, delivery)));
        let changes = [success(a, NOW, 200), success(b, NOW, 204), success(other, NOW, 200), success(c, NOW, 200)];
        let (ended, others) = part(&changes, &known);
        let alike = |status, deliveries| Ended { at: NOW, status_code: Some(status), deliveries };
        assert_eq!(ended, [alike(200, vec![a.id, c.id]), alike(204, vec![b.id])]);
        assert_eq!(others, [&changes[2]]);
    }

    #[test]
    fn a_change_that_says_more_is_another() {
        let first = delivery(1);
        let known = HashMap::from([(first.id, first)]);
        let plain = success(first, NOW, 200);
        let changes = [
            DeliveryChange { attempts_added: 2, ..plain.clone() },
            DeliveryChange { last: None, ..plain.clone() },
            DeliveryChange { last: Some((Some(200), Some("late".to_owned()))), ..plain.clone() },
            DeliveryChange { sweep_at: Some(NOW), ..plain.clone() },
            DeliveryChange { delivery: Delivery { attempt: 2, ..plain.delivery }, ..plain.clone() },
            DeliveryChange { delivery: Delivery { round: 2, ..plain.delivery }, ..plain.clone() },
            DeliveryChange { delivery: Delivery { state: DeliveryState::Held, ..plain.delivery }, ..plain },
        ];
        for change in changes {
            let change = std::slice::from_ref(&change);
            assert_eq!(part(change, &known), (Vec::new(), vec![&change[0]]));
        }
    }
}
