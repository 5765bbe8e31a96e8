//! What happens when somebody else has a row locked.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sqlx::{Connection as _, PgConnection};
use whimbrel_core::delivery::{Delivery, DeliveryState, FailReason};
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::{Clock as _, Decision, DeliveryChange, Facts, Log as _, Retried, SystemClock};
use whimbrel_core::port::{Intake as _, Ledger as _, Replays as _};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind, ReplayState};
use whimbrel_core::{DeliveryId, ReplayId};
use whimbrel_testkit::postgres::psql;
use whimbrel_testkit::wait;

use crate::place::{Place, place};
use crate::setting::{delivery, endpoint, fanout, now, success, tenant};

/// A session that has this delivery locked until [`unlock`].
async fn lock(place: &Place, id: DeliveryId) -> Result<PgConnection> {
    let mut session = PgConnection::connect(place.database.url()).await?;
    sqlx::raw_sql("BEGIN").execute(&mut session).await?;
    sqlx::query("SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE").bind(id.uuid()).execute(&mut session).await?;
    Ok(session)
}

/// Ends it. A connection that is only closed keeps its locks until the server has noticed.
async fn unlock(mut session: PgConnection) -> Result<()> {
    sqlx::raw_sql("COMMIT").execute(&mut session).await?;
    Ok(session.close().await?)
}

async fn failed(place: &Place, endpoint: &Endpoint) -> Result<Delivery> {
    let delivery = delivery(&place.store, endpoint, now()).await?;
    let failed = Delivery { state: DeliveryState::Failed { reason: FailReason::Gone, at: now() }, ..delivery };
    let change = DeliveryChange { delivery: failed, attempts_added: 1, last: None, sweep_at: None };
    let decision = Decision { deliveries: vec![change], ..Decision::default() };
    place.store.settle(&[success(&delivery)?], &|_: &Facts| decision.clone()).await?;
    Ok(failed)
}

async fn start(place: &Place, endpoint: &Endpoint, kind: ReplayKind) -> Result<Replay> {
    let id = ReplayId::generate(now(), SystemClock.random10());
    let replay = Replay::new(id, tenant(), endpoint.id, kind, ReplayFilter::default(), now());
    place.store.start_replay(&replay).await?.context("the endpoint is there")
}

fn ids(deliveries: &[Delivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

/// What is locked is taken later, and the end is not reached without it.
#[tokio::test]
async fn rule_08_a_release_takes_what_was_locked_later() -> Result<()> {
    let place = place().await?;
    let endpoint = endpoint(&place.store).await?;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(fanout(&endpoint, now(), DeliveryState::Held)?);
    }
    held.sort_by_key(|fanout| fanout.deliveries[0].id);
    place.store.accept(&held).await?;
    let (first, second) = (held[0].deliveries[0].id, held[1].deliveries[0]);
    let release = start(&place, &endpoint, ReplayKind::Release).await?;

    let session = lock(&place, first).await?;
    let advance = place.store.advance_replay(release.id, 10, now(), now()).await?;
    ensure!(ids(&advance.taken) == [second.id], "{advance:?}");
    let taken = advance.taken[0];
    let done = Delivery { state: DeliveryState::Succeeded { at: now() }, ..taken };
    let change = DeliveryChange { delivery: done, attempts_added: 1, last: None, sweep_at: None };
    let decision = Decision { deliveries: vec![change], ..Decision::default() };
    place.store.settle(&[success(&taken)?], &|_: &Facts| decision.clone()).await?;
    let advance = place.store.advance_replay(release.id, 10, now(), now()).await?;
    ensure!(advance.taken.is_empty() && advance.in_flight == 0 && advance.state == ReplayState::Running, "{advance:?}");
    unlock(session).await?;
    let advance = place.store.advance_replay(release.id, 10, now(), now()).await?;
    ensure!(ids(&advance.taken) == [first], "{advance:?}");
    Ok(())
}

/// Its place is a cursor: it does not pass what is locked, or that would be left out for good.
#[tokio::test]
async fn rule_08_a_replay_does_not_pass_what_is_locked() -> Result<()> {
    let place = place().await?;
    let endpoint = endpoint(&place.store).await?;
    let mut past = Vec::new();
    for _ in 0..4 {
        past.push(failed(&place, &endpoint).await?);
    }
    past.sort_by_key(|delivery| delivery.id);
    let past = ids(&past);
    let replay = start(&place, &endpoint, ReplayKind::Replay).await?;

    let session = lock(&place, past[1]).await?;
    let advance = place.store.advance_replay(replay.id, 10, now(), now()).await?;
    ensure!(ids(&advance.taken) == past[..1], "{advance:?}");
    unlock(session).await?;
    let advance = place.store.advance_replay(replay.id, 10, now(), now()).await?;
    ensure!(ids(&advance.taken) == past[1..], "{advance:?}");
    Ok(())
}

/// A retry that comes while a payload is being erased waits, and then finds nothing to send.
#[tokio::test]
async fn a_retry_that_waits_for_an_erasure_sees_it() -> Result<()> {
    let place = place().await?;
    let endpoint = endpoint(&place.store).await?;
    let failed = failed(&place, &endpoint).await?;
    let mut erasure = lock(&place, failed.id).await?;
    sqlx::query("UPDATE events SET body = '', data_start = 0, data_end = 0 WHERE id = $1")
        .bind(failed.event.uuid())
        .execute(&mut erasure)
        .await?;
    let store = place.store.clone();
    let retrying = tokio::spawn(async move { store.retry(&tenant(), failed.id).await });
    let url = place.database.url();
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait::until("the retry waits", Duration::from_secs(20), async || {
        (psql(url, waiting).await.ok()? == "1").then_some(())
    })
    .await?;
    sqlx::raw_sql("COMMIT").execute(&mut erasure).await?;
    let retried = retrying.await??;
    ensure!(retried == Some(Retried::Not(failed)), "{retried:?}");
    Ok(())
}
