use whimbrel_core::event::TraceContext;
use whimbrel_core::message::{Body, Job};
use whimbrel_core::outcome::Fate;
use whimbrel_core::port::{Route, Tag};
use whimbrel_core::tier::Tier;
use whimbrel_core::{DeliveryId, EventId, Timestamp};

use super::handle::over_cap;
use super::*;
use crate::finish::End;
use crate::flight::{Pack, key};
use crate::gate::START_WITHIN;

fn job(hops: u32) -> Job {
    let at = Timestamp::from_secs(1);
    let (event, endpoint) = (EventId::generate(at, [1; 10]), EndpointId::generate(at, [2; 10]));
    let body = Body {
        event,
        event_type: "order.created".into(),
        occurred_at: at,
        bytes: bytes::Bytes::new(),
        trace: TraceContext::default(),
    };
    Job {
        delivery: DeliveryId::of(event, endpoint),
        endpoint,
        body: Arc::new(body),
        round: 1,
        attempt: 1,
        contract: "generic".parse().expect("a name"),
        endpoint_version: 1,
        not_before: None,
        hops,
        jitter: Duration::ZERO,
        trace: TraceContext::default(),
    }
}

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

#[tokio::test]
async fn rule_15_a_job_that_comes_again_while_in_hand_waits_for_the_same_end() {
    let (acks, mut acked) = mpsc::unbounded_channel();
    let pack = |number| Pack::new(Tag { epoch: number, number }, 1, acks.clone());
    let flights = Flights::default();
    let job = job(0);
    assert!(flights.begin(key(&job), pack(1)));
    assert!(!flights.begin(key(&job), pack(2)), "no second POST");
    assert!(acked.try_recv().is_err(), "nothing is acked before the end is durable");
    flights.end(key(&job));
    let tags = [acked.recv().await, acked.recv().await].map(|tag| tag.map(|tag| tag.number));
    assert_eq!(tags, [Some(1), Some(2)]);
    assert!(flights.begin(key(&job), pack(3)), "done with");
}

#[tokio::test(start_paused = true)]
async fn rule_17_an_endpoint_has_so_many_places_and_no_one_waits_long() {
    let gates = Gates::new(1);
    let gate = gates.of(job(0).endpoint);
    let place = gate.enter().await;
    assert!(place.is_some());
    let before = tokio::time::Instant::now();
    assert!(gate.enter().await.is_none(), "busy");
    assert_eq!(before.elapsed(), START_WITHIN);
    drop(place);
    assert!(gate.enter().await.is_some());
}

#[tokio::test]
async fn rule_15_a_job_that_was_moved_and_comes_back_before_its_confirm_is_a_new_job() {
    let (acks, mut acked) = mpsc::unbounded_channel();
    let pack = |number| Pack::new(Tag { epoch: 1, number }, 1, acks.clone());
    let flights = Flights::default();
    let job = job(0);
    assert!(flights.begin(key(&job), pack(1)));
    let given_up = flights.give_up(key(&job));
    assert!(flights.begin(key(&job), pack(2)), "the moved one is in hand now");
    assert_eq!(flights.open(), 2, "a stop waits for both");
    flights.moved(&given_up);
    assert_eq!(acked.recv().await.map(|tag| tag.number), Some(1));
    assert!(acked.try_recv().is_err(), "the moved one is not acked with it");
}
