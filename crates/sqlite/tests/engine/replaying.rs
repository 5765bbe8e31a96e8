//! A replay among very many deliveries: each step is short, and none is left out.

use anyhow::ensure;
use whimbrel_core::delivery::{DeliveryState, FailReason};
use whimbrel_core::id::ReplayId;
use whimbrel_core::port::{Advance, Clock as _, Fanout, Store, SystemClock};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::{DeliveryId, Timestamp};
use whimbrel_sqlite::Options;

use crate::common::{PATIENCE, acme, fanout, store_as_they_are};

/// More than two steps look at.
const DELIVERIES: i64 = 12_000;

async fn advance(store: &dyn Store, id: ReplayId) -> anyhow::Result<Advance> {
    Ok(store.advance_replay(id, 10, SystemClock.now(), SystemClock.now() + PATIENCE).await?)
}

/// The failed ones are the first, one in the middle and the last.
#[tokio::test]
async fn a_replay_of_a_few_among_many_takes_every_one() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    let endpoint = acme(&*store).await?;
    let mut failed: Vec<DeliveryId> = Vec::new();
    let fanouts: Vec<Fanout> = (0..DELIVERIES)
        .map(|number| {
            let at = Timestamp::from_micros(number * 1_000);
            let fails = [0, 7_000, DELIVERIES - 1].contains(&number);
            let ended = DeliveryState::Failed { reason: FailReason::Exhausted, at };
            let state = if fails { ended } else { DeliveryState::Succeeded { at } };
            let fanout = fanout(&endpoint, at, "{}", state);
            failed.extend(fails.then_some(fanout.deliveries[0].id));
            fanout
        })
        .collect();
    for batch in fanouts.chunks(1_000) {
        store_as_they_are(&*store, batch).await?;
    }

    let id = ReplayId::generate(SystemClock.now(), SystemClock.random10());
    let filter = ReplayFilter { failed_only: true, ..ReplayFilter::default() };
    let replay = Replay::new(id, endpoint.tenant.clone(), endpoint.id, ReplayKind::Replay, filter, SystemClock.now());
    let started = store.start_replay(&replay).await?;
    ensure!(started.is_some_and(|started| started.total == 3), "not three were counted");
    let mut taken: Vec<DeliveryId> = Vec::new();
    for step in 0..5 {
        let advance = advance(&*store, id).await?;
        taken.extend(advance.taken.iter().map(|delivery| delivery.id));
        ensure!(
            advance.in_flight == u32::try_from(taken.len())?,
            "{} are in flight after step {step}",
            advance.in_flight
        );
        ensure!(advance.state == ReplayState::Running, "it ended with deliveries in flight");
    }
    ensure!(taken == failed, "{taken:?} instead of {failed:?}");
    Ok(())
}
