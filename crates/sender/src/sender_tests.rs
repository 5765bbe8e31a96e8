use futures::FutureExt;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::outcome::{Attempted, ErrorKind, Fate, Reply};
use whimbrel_core::port::{Route, SystemClock, Tag};
use whimbrel_core::tier::Tier;
use whimbrel_core::{ExecutionId, Timestamp};

use super::handle::{over_cap, tell, throttled};
use super::*;
use crate::finish::End;
use crate::flight::{Pack, key};
use crate::gate::Limits;
use crate::target::{Prepared, Target};
use crate::testing::{endpoint, job};

#[test]
fn rule_17_over_the_cap_a_job_is_parked_four_times_in_its_lane_and_then_deferred() {
    for (hops, secs) in (0..4).zip([1, 2, 5, 10]) {
        let End::Moved(moved, route) = over_cap(Lane::Live, job(hops)) else { panic!("parked") };
        assert_eq!(route, Route::Delay(Tier::new(Duration::from_secs(secs)), Lane::Live));
        assert_eq!((moved.hops, moved.attempt), (hops + 1, 1), "no attempt is used");
    }
    let End::Outcome(outcome) = over_cap(Lane::Live, job(4)) else { panic!("deferred") };
    assert_eq!(outcome.fate, Fate::Deferred);
}

#[test]
fn rule_17_a_job_for_a_throttling_receiver_waits_in_its_lane_and_uses_no_hop() {
    let tiers = Tiers::new([30, 300].map(Duration::from_secs));
    for lane in Lane::ALL {
        for (wait, hop) in [(1, 1), (7, 5), (30, 30), (40, 30), (300, 300)] {
            let wait = Duration::from_secs(wait);
            let before = SystemClock.now();
            let End::Moved(moved, route) = throttled(&SystemClock, &tiers, lane, job(3), wait) else {
                panic!("parked")
            };
            assert_eq!(route, Route::Delay(Tier::new(Duration::from_secs(hop)), lane));
            assert_eq!((moved.hops, moved.attempt), (3, 1), "neither hop nor attempt is used");
            let (not_before, after) = (moved.not_before.expect("parked until then"), SystemClock.now());
            assert!(not_before >= before + wait, "rule 23: never early");
            assert!(not_before <= after + wait + wait / 10);
            assert_eq!(moved.jitter, Duration::ZERO, "nothing of it may be cut off");
        }
    }
}

#[test]
fn rule_17_throttled_jobs_do_not_all_come_back_at_once() {
    let tiers = Tiers::new([]);
    let times: Vec<Timestamp> = (0..50)
        .map(|_| match throttled(&SystemClock, &tiers, Lane::Live, job(0), Duration::from_mins(1)) {
            End::Moved(moved, _) => moved.not_before.expect("parked until then"),
            End::Outcome(_) => panic!("parked"),
        })
        .collect();
    let first = times.iter().min().expect("fifty");
    let within_a_second = times.iter().filter(|time| time.since(*first) < Duration::from_secs(1)).count();
    assert!(within_a_second < 40, "{within_a_second} of 50 within a second, of six");
}

/// A contract's endpoint, nothing sent to it yet.
fn target(contract: &str) -> Target {
    let contract = ContractSet::built_in().get(&contract.parse().expect("a name")).expect("built in").clone();
    let endpoint = endpoint(&contract, "https://example.com/", whimbrel_core::endpoint::CustomHeaders::default());
    Target::new(&endpoint, Arc::new(Prepared::new(contract)), &EgressPolicy::default())
}

fn attempted(reply: Reply) -> Attempted {
    let at = Timestamp::from_secs(1);
    Attempted { execution: ExecutionId::generate(at, [3; 10]), started_at: at, duration: Duration::ZERO, reply }
}

fn answer(status: u16) -> Attempted {
    attempted(Reply::Response { status, body: bytes::Bytes::new(), retry_after: None })
}

#[tokio::test(start_paused = true)]
async fn rule_17_which_answers_throttle_is_the_contracts() {
    for (contract, status, closes) in [
        ("standard", 429, true),
        ("standard", 502, true),
        ("standard", 504, true),
        ("standard", 200, false),
        ("standard", 503, false),
        ("generic", 429, false),
    ] {
        let target = target(contract);
        let gate = Gates::new(1).of(job(0).endpoint, 1, Limits::default());
        let place = gate.enter().await.unwrap_or_else(|refused| panic!("{refused:?}"));
        tell(&place, &target, &answer(status));
        assert_eq!(gate.closed_for().is_some(), closes, "{contract} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_no_answer_says_nothing_about_throttling() {
    let target = target("standard");
    let gate = Gates::new(1).of(job(0).endpoint, 1, Limits::default());
    let place = gate.enter().await.unwrap_or_else(|refused| panic!("{refused:?}"));
    tell(&place, &target, &answer(429));
    let error = Reply::Error { kind: ErrorKind::Timeout, message: String::new() };
    tell(&place, &target, &attempted(error));
    assert!(gate.closed_for().is_some(), "it stays closed");
    tell(&place, &target, &answer(500));
    assert!(gate.closed_for().is_none(), "an answer that is no throttle opens it");
}

#[tokio::test]
async fn rule_15_a_job_that_comes_again_while_in_hand_waits_for_the_same_end() {
    let acks = Arc::new(Acks::default());
    let pack = |number| Pack::new(Tag { epoch: 1, number }, 1, &acks);
    let flights = Flights::default();
    let job = job(0);
    assert!(flights.begin(key(&job), pack(1)));
    assert!(!flights.begin(key(&job), pack(2)), "no second POST");
    assert!(acks.next().now_or_never().is_none(), "nothing is acked before the end is durable");
    flights.end(key(&job));
    assert_eq!(acks.next().await, Some([1, 2].map(|number| Tag { epoch: 1, number }).to_vec()));
    assert!(flights.begin(key(&job), pack(3)), "done with");
}

#[tokio::test]
async fn rule_15_a_job_that_was_moved_and_comes_back_before_its_confirm_is_a_new_job() {
    let acks = Arc::new(Acks::default());
    let pack = |number| Pack::new(Tag { epoch: 1, number }, 1, &acks);
    let flights = Flights::default();
    let job = job(0);
    assert!(flights.begin(key(&job), pack(1)));
    let given_up = flights.give_up(key(&job));
    assert!(flights.begin(key(&job), pack(2)), "the moved one is in hand now");
    assert_eq!(flights.open(), 2, "a stop waits for both");
    flights.moved(&given_up);
    assert_eq!(acks.next().await, Some(vec![Tag { epoch: 1, number: 1 }]));
    assert!(acks.next().now_or_never().is_none(), "the moved one is not acked with it");
}
