use futures::future::join_all;
use tokio::time::advance;

use super::pause::LONGEST;
use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn endpoint() -> EndpointId {
    EndpointId::generate(whimbrel_core::Timestamp::from_secs(1), [1; 10])
}

fn own_cap(cap: u32) -> Limits {
    Limits { in_flight_max: Some(cap), ..Limits::default() }
}

fn rate(rate: u32) -> Limits {
    Limits { rate: Some(rate), ..Limits::default() }
}

async fn place(gate: &Arc<Gate>) -> Place {
    gate.enter().await.unwrap_or_else(|refused| panic!("a place, not {refused:?}"))
}

async fn refused(gate: &Arc<Gate>) -> Refused {
    gate.enter().await.err().expect("no place")
}

/// Takes every place that is free at once.
async fn all_places(gate: &Arc<Gate>, at_most: usize) -> Vec<Place> {
    join_all((0..at_most).map(|_| gate.enter())).await.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn rule_17_an_endpoint_has_so_many_places_and_no_one_waits_long() {
    let gate = Gates::new(1).of(endpoint(), 1, Limits::default());
    let only = place(&gate).await;
    let before = Instant::now();
    assert_eq!(refused(&gate).await, Refused::Busy);
    assert_eq!(before.elapsed(), START_WITHIN);
    drop(only);
    drop(place(&gate).await);
}

#[tokio::test(start_paused = true)]
async fn rule_17_an_endpoint_may_have_fewer_places_of_its_own_but_not_more() {
    for (own, places) in [(0, 1), (2, 2), (4, 4), (9, 4)] {
        let gate = Gates::new(4).of(endpoint(), 1, own_cap(own));
        assert_eq!(all_places(&gate, 12).await.len(), places, "{own}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_smaller_cap_counts_those_in_flight() {
    let gates = Gates::new(4);
    let gate = gates.of(endpoint(), 1, own_cap(4));
    let mut under_way = all_places(&gate, 4).await;
    assert_eq!(under_way.len(), 4);
    gates.of(endpoint(), 2, own_cap(2));
    for left in [3, 2] {
        under_way.pop();
        assert_eq!(refused(&gate).await, Refused::Busy, "{left} are under way, and 2 may be");
    }
    under_way.pop();
    under_way.push(place(&gate).await);
    under_way.clear();
    assert_eq!(all_places(&gate, 6).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_larger_cap_lets_those_in_who_wait() {
    let gates = Gates::new(8);
    let gate = gates.of(endpoint(), 1, own_cap(1));
    let first = place(&gate).await;
    let waiting = tokio::spawn({
        let gate = gate.clone();
        async move { gate.enter().await }
    });
    tokio::task::yield_now().await;
    let before = Instant::now();
    gates.of(endpoint(), 2, own_cap(3));
    let second = waiting.await.expect("no panic").expect("a place");
    let third = place(&gate).await;
    assert_eq!(before.elapsed(), Duration::ZERO);
    gates.of(endpoint(), 3, own_cap(1));
    gates.of(endpoint(), 4, own_cap(2));
    drop((first, second, third));
    assert_eq!(all_places(&gate, 6).await.len(), 2, "shrunk and grown while all were taken");
}

#[tokio::test(start_paused = true)]
async fn rule_10_a_job_with_an_older_copy_does_not_turn_the_options_back() {
    let gates = Gates::new(8);
    gates.of(endpoint(), 5, own_cap(2));
    let gate = gates.of(endpoint(), 4, own_cap(8));
    assert_eq!(all_places(&gate, 10).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_17_over_the_rate_jobs_wait_for_a_near_token_and_are_busy_else() {
    let gate = Gates::new(100).of(endpoint(), 1, rate(4));
    let begun = Instant::now();
    let entries = join_all((0..30).map(|_| async { (gate.enter().await.is_ok(), begun.elapsed()) })).await;
    let mut starts: Vec<Duration> = entries.iter().filter(|(entered, _)| *entered).map(|(_, at)| *at).collect();
    starts.sort_unstable();
    let burst = [0; 4].map(millis).into_iter();
    let wanted: Vec<Duration> = burst.chain((1..=8).map(|token| millis(250 * token))).collect();
    assert_eq!(starts, wanted, "a second's worth at once, then one after the other, up to {START_WITHIN:?}");
    let parked_late = entries.iter().any(|(entered, at)| !entered && !at.is_zero());
    assert!(!parked_late, "who gets no token in time is told at once");
}

#[tokio::test(start_paused = true)]
async fn rule_17_the_rate_holds_over_time_whatever_comes() {
    let gate = Gates::new(100).of(endpoint(), 1, rate(5));
    let begun = Instant::now();
    let mut entered = 0_u128;
    while begun.elapsed() < secs(60) {
        let entries = join_all((0..7).map(|_| gate.enter())).await;
        entered += entries.iter().map(|entry| u128::from(entry.is_ok())).sum::<u128>();
        advance(millis(10)).await;
    }
    let elapsed = begun.elapsed();
    let least = elapsed.as_millis() / 200;
    assert!((least..=least + 6).contains(&entered), "{entered} in {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_new_rate_takes_effect() {
    let gates = Gates::new(100);
    let gate = gates.of(endpoint(), 1, rate(1));
    assert_eq!(all_places(&gate, 5).await.len(), 3, "at 0, 1 and 2 s");
    gates.of(endpoint(), 2, Limits::default());
    assert_eq!(all_places(&gate, 5).await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_throttling_receiver_is_left_alone_for_longer_each_time() {
    let gate = Gates::new(4).of(endpoint(), 1, Limits::default());
    for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
        place(&gate).await.throttled(None);
        assert_eq!(refused(&gate).await, Refused::Closed(secs(pause)));
        advance(millis(pause * 1_000 - 1)).await;
        assert_eq!(refused(&gate).await, Refused::Closed(millis(1)));
        advance(millis(1)).await;
    }
    place(&gate).await.answered();
    place(&gate).await.throttled(None);
    assert_eq!(gate.closed_for(), Some(secs(1)), "an answer that is no throttle ended the row");
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_burst_of_throttle_answers_is_one_in_the_row() {
    let gate = Gates::new(20).of(endpoint(), 1, Limits::default());
    let under_way = all_places(&gate, 20).await;
    for place in under_way {
        place.throttled(None);
    }
    assert_eq!(gate.closed_for(), Some(secs(1)));
    advance(secs(1)).await;
    place(&gate).await.throttled(None);
    assert_eq!(gate.closed_for(), Some(secs(2)));
}

#[tokio::test(start_paused = true)]
async fn rule_17_an_answer_that_is_no_throttle_opens_the_gate() {
    let gate = Gates::new(4).of(endpoint(), 1, Limits::default());
    let (one, other) = (place(&gate).await, place(&gate).await);
    one.throttled(None);
    assert!(gate.closed_for().is_some());
    other.answered();
    assert_eq!(gate.closed_for(), None);
    drop(place(&gate).await);
}

#[tokio::test(start_paused = true)]
async fn rule_23_a_retry_after_is_never_cut_short_below_the_bound() {
    let gate = Gates::new(4).of(endpoint(), 1, Limits::default());
    let (one, other) = (place(&gate).await, place(&gate).await);
    one.throttled(Some(secs(30)));
    other.answered();
    assert_eq!(gate.closed_for(), Some(secs(30)));
    other.throttled(Some(secs(7)));
    assert_eq!(gate.closed_for(), Some(secs(30)), "the longer one holds");
    other.throttled(Some(secs(1_000_000)));
    assert_eq!(gate.closed_for(), Some(LONGEST));
}

#[test]
fn rule_18_the_longest_pause_ends_before_the_sweep_looks() {
    assert!(LONGEST.mul_f64(1.1) < whimbrel_core::delivery::SWEEP_GRACE);
}

#[tokio::test(start_paused = true)]
async fn rule_17_those_who_wait_leave_when_the_gate_closes() {
    let gate = Gates::new(1).of(endpoint(), 1, rate(1));
    let under_way = place(&gate).await;
    let waiting = join_all((0..2).map(|_| gate.enter()));
    let closing = async {
        advance(millis(100)).await;
        under_way.throttled(Some(secs(9)));
        Instant::now()
    };
    let (waiting, closed) = tokio::join!(waiting, closing);
    assert_eq!(closed.elapsed(), Duration::ZERO, "at once");
    for left in waiting {
        assert_eq!(left.err(), Some(Refused::Closed(secs(9))));
    }
}

#[tokio::test(start_paused = true)]
async fn forgetting_endpoints_without_traffic_opens_no_closed_gate() {
    let gates = Gates::new(1);
    let number = |number: u32| {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_le_bytes());
        EndpointId::generate(whimbrel_core::Timestamp::from_secs(1), random)
    };
    let options = Limits::default();
    place(&gates.of(number(0), 1, options)).await.throttled(None);
    for other in 1..=u32::try_from(ENDPOINTS_MAX).expect("small") {
        gates.of(number(other), 1, options);
    }
    assert!(gates.known.lock().expect("no panic").gates.len() < ENDPOINTS_MAX);
    assert!(gates.of(number(0), 1, options).closed_for().is_some());
}
