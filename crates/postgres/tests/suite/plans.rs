//! What statements touch, by the server's own counters: no plan is copied, the store's own calls are measured.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use whimbrel_core::delivery::{Delivery, DeliveryState};
use whimbrel_core::port::{Clock as _, SystemClock};
use whimbrel_core::port::{
    Decision, DeliveryChange, Facts, Intake as _, Ledger as _, Log as _, Lookup as _, Page, Replays as _, Store as _,
    Transfer as _, Upkeep as _,
};
use whimbrel_core::replay::{Replay, ReplayFilter, ReplayKind};
use whimbrel_core::{ReplayId, Timestamp};
use whimbrel_testkit::postgres::psql;
use whimbrel_testkit::wait;

use crate::place::{Place, connect, connect_with, place};
use crate::setting::{DAY, delivery, endpoint, fanout, now, success, tenant};

/// Sessions give their counters when they end.
async fn counted(place: &Place) -> Result<()> {
    let url = place.database.url();
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'whimbrel'";
    wait::until("the store's sessions have ended", Duration::from_secs(20), async || {
        (psql(url, others).await.ok()? == "0").then_some(())
    })
    .await
}

/// The days whose partitions were read.
async fn read_days(place: &Place) -> Result<BTreeSet<String>> {
    counted(place).await?;
    let sql = "SELECT right(relname, 8) FROM pg_stat_user_tables
        WHERE relname ~ '_[0-9]{8}$' AND coalesce(seq_scan, 0) + coalesce(idx_scan, 0) > 0";
    Ok(psql(place.database.url(), sql).await?.lines().map(str::to_owned).collect())
}

/// How many entries of deliveries were read: from indexes, and from tables.
async fn read_entries(place: &Place) -> Result<Vec<u64>> {
    counted(place).await?;
    let sql = "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE indexrelname LIKE 'deliveries\\_%'
        UNION ALL SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname LIKE 'deliveries\\_%'";
    Ok(psql(place.database.url(), sql).await?.lines().map(str::parse).collect::<Result<_, _>>()?)
}

async fn day(place: &Place, at: Timestamp) -> Result<String> {
    psql(place.database.url(), &format!("SELECT to_char('{at}'::timestamptz AT TIME ZONE 'UTC', 'YYYYMMDD')")).await
}

/// Every statement on a batch of ids, whatever kind of plan the URL asks for.
#[tokio::test]
async fn rule_27_batches_touch_their_own_day_only() -> Result<()> {
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let place = place().await?;
        let at = now();
        let endpoint = endpoint(&place.store).await?;
        let mut deliveries = Vec::new();
        for _ in 0..3 {
            deliveries.push(delivery(&place.store, &endpoint, at).await?);
        }
        place.store.close().await;
        counted(&place).await?;
        psql(place.database.url(), "SELECT pg_stat_reset()").await?;

        let store = connect_with(&place.database, &format!("plan_cache_mode={mode}")).await?;
        let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id).collect();
        ensure!(store.positions(&ids).await?.len() == 3);
        ensure!(store.to_publish(&ids).await?.len() == 3);
        let outcomes = deliveries.iter().map(success).collect::<Result<Vec<_>>>()?;
        for _ in 0..2 {
            // The second time every attempt is there already.
            store.settle(&outcomes, &|facts: &Facts| succeeded(facts, at)).await?;
        }
        ensure!(store.delivery(&tenant(), ids[0]).await?.is_some_and(|(_, attempts)| attempts.len() == 1));
        ensure!(store.deliveries_of_event(&tenant(), deliveries[0].event).await?.len() == 1);
        store.retry(&tenant(), ids[0]).await?;
        ensure!(store.erase_event(&tenant(), deliveries[1].event).await?);
        store.count_usage(at).await?;
        store.stats(endpoint.id, at, at + Duration::from_secs(1)).await?;
        store.close().await;
        let (read, today) = (read_days(&place).await?, day(&place, at).await?);
        ensure!(read == BTreeSet::from([today.clone()]), "{mode}: {read:?} were read, it is {today}");
    }
    Ok(())
}

fn succeeded(facts: &Facts, at: Timestamp) -> Decision {
    let change = |delivery: &Delivery| DeliveryChange {
        delivery: Delivery { state: DeliveryState::Succeeded { at }, ..*delivery },
        attempts_added: 1,
        last: Some((Some(200), None)),
        sweep_at: None,
    };
    Decision { deliveries: facts.deliveries.values().map(change).collect(), ..Decision::default() }
}

/// A replay of a while reads the partitions of that while.
#[tokio::test]
async fn rule_27_a_replay_reads_its_own_days() -> Result<()> {
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let place = place().await?;
        let at = now();
        let endpoint = endpoint(&place.store).await?;
        let delivery = delivery(&place.store, &endpoint, at).await?;
        place.store.settle(&[success(&delivery)?], &|facts: &Facts| succeeded(facts, at)).await?;
        place.store.close().await;
        counted(&place).await?;
        psql(place.database.url(), "SELECT pg_stat_reset()").await?;

        let store = connect_with(&place.database, &format!("plan_cache_mode={mode}")).await?;
        let (since, until) = (Some(at), Some(at + Duration::from_millis(1)));
        let filter = ReplayFilter { since, until, ..ReplayFilter::default() };
        let id = ReplayId::generate(at, SystemClock.random10());
        let replay = Replay::new(id, tenant(), endpoint.id, ReplayKind::Replay, filter, at);
        ensure!(store.start_replay(&replay).await?.is_some_and(|started| started.total == 1));
        // Counting what is in flight asks every day's small index: that is not measured here.
        store.close().await;
        let (read, today) = (read_days(&place).await?, day(&place, at).await?);
        ensure!(read == BTreeSet::from([today.clone()]), "{mode}: {read:?} were read, it is {today}");
    }
    Ok(())
}

/// Looking for forgotten ones costs by endpoint, not by held delivery.
#[tokio::test]
async fn rule_08_looking_for_forgotten_ones_passes_over_the_held() -> Result<()> {
    let place = place().await?;
    let at = now();
    for _ in 0..3 {
        let endpoint = endpoint(&place.store).await?;
        let held = (0..1_000).map(|_| fanout(&endpoint, at, DeliveryState::Held)).collect::<Result<Vec<_>>>()?;
        place.store.accept(&held).await?;
    }
    place.store.close().await;
    counted(&place).await?;
    psql(place.database.url(), "ANALYZE deliveries; SELECT pg_stat_reset()").await?;

    let store = connect(&place.database).await?;
    ensure!(store.forgotten(10).await?.len() == 3);
    store.close().await;
    let read = read_entries(&place).await?;
    ensure!((1..100).contains(&read.iter().sum::<u64>()), "{read:?} of 3,000 entries were read");
    Ok(())
}

/// Plans are kept, so those that were made while the days were empty must do when they are full.
#[tokio::test]
async fn rule_08_steps_planned_on_empty_days_stay_cheap_on_full_ones() -> Result<()> {
    let place = place().await?;
    let (store, at) = (&place.store, now());
    let endpoint = endpoint(store).await?;
    let release = async || {
        let id = ReplayId::generate(now(), SystemClock.random10());
        let replay = Replay::new(id, tenant(), endpoint.id, ReplayKind::Release, ReplayFilter::default(), now());
        store.start_replay(&replay).await?;
        anyhow::Ok(store.advance_replay(id, 10, now(), now() + DAY).await?)
    };
    ensure!(release().await?.taken.is_empty());
    ensure!(store.take_waiting(at + DAY, 10).await?.is_empty());

    let states = std::iter::repeat_n(DeliveryState::Pending, 3_000).chain([DeliveryState::Held; 3]);
    let batch = states.map(|state| fanout(&endpoint, at, state)).collect::<Result<Vec<_>>>()?;
    store.accept(&batch).await?;
    let done = "UPDATE deliveries SET state = 'succeeded', state_at = now(), sweep_at = NULL WHERE state = 'pending'";
    psql(place.database.url(), done).await?;
    psql(place.database.url(), "SELECT pg_stat_reset()").await?;
    ensure!(release().await?.taken.len() == 3);
    ensure!(store.take_waiting(at + DAY, 10).await?.is_empty());
    store.close().await;
    let read = read_entries(&place).await?;
    ensure!((1..100).contains(&read.iter().sum::<u64>()), "{read:?} of 3,003 entries were read");
    Ok(())
}

/// A page of the log reads no later day than it gives.
#[tokio::test]
async fn a_page_of_the_log_stops_at_its_end() -> Result<()> {
    let place = place().await?;
    let at = now();
    let endpoint = endpoint(&place.store).await?;
    for ago in [2, 1, 0] {
        delivery(&place.store, &endpoint, at.before(DAY * ago)).await?;
    }
    place.store.close().await;
    counted(&place).await?;
    psql(place.database.url(), "SELECT pg_stat_reset()").await?;
    let store = connect(&place.database).await?;
    ensure!(store.log_page(Page { after: None, limit: 1 }).await?.len() == 1);
    store.close().await;
    let (read, first) = (read_days(&place).await?, day(&place, at.before(DAY * 2)).await?);
    ensure!(read == BTreeSet::from([first.clone()]), "{read:?} were read, the event is of {first}");
    Ok(())
}
