//! What upkeep leaves in the file, and what it costs when there is nothing to do.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::port::{Clock as _, DeliveryFilter, Fanout, Lane, Page, Store, SystemClock};
use whimbrel_core::{DeliveryId, Timestamp};
use whimbrel_sqlite::Options;

use crate::common::{acme, fanout, store_as_they_are};

const WORDS: &[u8] = b"4111 1111 1111 1111";

/// A body around the words that are looked for.
fn telling(bytes: usize) -> Vec<u8> {
    let mut body = vec![b'-'; bytes];
    body.extend_from_slice(WORDS);
    body
}

/// How often the words stand in the directory's files.
fn found(dir: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in dir.read_dir()? {
        let content = std::fs::read(entry?.path())?;
        count += content.windows(WORDS.len()).filter(|window| *window == WORDS).count();
    }
    Ok(count)
}

/// Within a page and over many: the bytes are overwritten, not only given up.
#[tokio::test]
async fn erased_payloads_are_not_in_the_file() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    let endpoint = acme(&*store).await?;
    let fanouts: Vec<Fanout> = [100, 20_000, 300, 40_000]
        .map(|bytes| fanout(&endpoint, SystemClock.now(), telling(bytes), DeliveryState::Pending))
        .into();
    store.accept(&fanouts).await?;
    drop(store);
    crate::common::close(engine).await;
    ensure!(found(dir.path())? == fanouts.len(), "the bodies are not found as they are");

    let engine = crate::common::open_at(dir.path(), Options::default()).await?;
    let store = engine.store();
    ensure!(store.erase_event(&endpoint.tenant, fanouts[0].event.id).await?, "the event is unknown");
    ensure!(store.erase_tenant(&endpoint.tenant, SystemClock.now() + Duration::from_secs(1)).await?, "unknown");
    let mut erased = 0;
    while store.tenant(&endpoint.tenant).await?.is_some_and(|tenant| tenant.erasing_before.is_some()) {
        erased += store.erase_step(2).await?;
    }
    ensure!(erased == 3, "{erased} events were erased");
    drop(store);
    crate::common::close(engine).await;
    ensure!(found(dir.path())? == 0, "the words are still in the file");
    Ok(())
}

async fn file_pages(dir: &Path) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut crate::common::look_into(dir).await?).await?)
}

/// The file takes new events where old ones were.
#[tokio::test]
async fn rule_28_the_file_does_not_grow_while_retention_keeps_its_level() -> anyhow::Result<()> {
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    let endpoint = acme(&*store).await?;
    let mut sizes = Vec::new();
    for day in 1..=6 {
        let at = Timestamp::from_secs(86_400 * day);
        let events: Vec<Fanout> =
            (0..600).map(|_| fanout(&endpoint, at, vec![b'x'; 3_000], DeliveryState::Succeeded { at })).collect();
        store_as_they_are(&*store, &events).await?;
        let (mut removed, mut calls) = (0, 0);
        loop {
            let pruned = store.prune(at, SystemClock.now()).await?;
            (removed, calls) = (removed + pruned.removed, calls + 1);
            if !pruned.more {
                break;
            }
        }
        // All of the day before: 500 and 100.
        ensure!(day == 1 || (removed, calls) == (600, 2), "{removed} events in {calls} calls on day {day}");
        sizes.push(file_pages(dir.path()).await?);
    }
    ensure!(sizes[5] <= sizes[1] + sizes[1] / 20, "the file grows: {sizes:?} pages");
    let page = Page { after: None, limit: 10_000 };
    ensure!(store.events(&endpoint.tenant, page).await?.len() == 600, "not one day is left");
    let all = Page { after: None, limit: 10_000 };
    let deliveries = store.deliveries(endpoint.id, &DeliveryFilter::default(), all).await?;
    ensure!(deliveries.len() == 600, "{} deliveries are left", deliveries.len());
    Ok(())
}

async fn look_for_work(store: &dyn Store) -> anyhow::Result<()> {
    let now = SystemClock.now();
    for lane in Lane::ALL {
        ensure!(store.overdue(lane, now, now, Duration::from_mins(1), 100).await?.is_empty(), "something is overdue");
        ensure!(store.last_overdue(lane, now, 1).await?.is_empty(), "something is overdue");
    }
    ensure!(store.take_waiting(now, 100).await?.is_empty(), "something waits");
    ensure!(store.unannounced(100).await?.is_empty(), "something is to be announced");
    ensure!(store.running_replays(Page { after: None, limit: 100 }).await?.is_empty(), "a replay runs");
    ensure!(store.forgotten(100).await?.is_empty(), "something is forgotten");
    ensure!(store.expire(Timestamp::from_secs(1), now, 100).await? == 0, "something expired");
    ensure!(store.prune(Timestamp::from_secs(1), now).await?.removed == 0, "something was removed");
    ensure!(store.erase_step(100).await? == 0, "something was erased");
    Ok(())
}

/// The tracker asks all the time: only an answer may cost a commit.
#[tokio::test]
async fn looking_for_work_commits_nothing_when_there_is_none() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    let endpoint = acme(&*store).await?;
    let at = SystemClock.now();
    let mut busy = fanout(&endpoint, at, "{}", DeliveryState::Pending);
    busy.sweep_at = at + Duration::from_hours(1);
    let done = fanout(&endpoint, at, "{}", DeliveryState::Succeeded { at });
    store_as_they_are(&*store, &[busy, done]).await?;
    let before = engine.tally().commits();
    look_for_work(&*store).await?;
    ensure!(engine.tally().commits() == before, "{} commits", engine.tally().commits() - before);
    Ok(())
}

/// What an endpoint leaves behind is cancelled wherever it stopped; what ended stays, and so do its neighbours.
#[tokio::test]
async fn deleting_an_endpoint_cancels_whatever_is_unfinished() -> anyhow::Result<()> {
    use whimbrel_core::delivery::WaitReason::{Deferred, Manual};
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    let endpoint = acme(&*store).await?;
    let other = crate::common::endpoint(&endpoint.tenant)?;
    ensure!(store.create_endpoint(&other, None).await?, "there is no limit");
    let at = SystemClock.now();
    let states = [
        DeliveryState::Pending,
        DeliveryState::Held,
        DeliveryState::Waiting(Manual),
        DeliveryState::Waiting(Deferred),
        DeliveryState::Succeeded { at },
    ];
    let (mut gone, mut stays) = (Vec::new(), Vec::new());
    for state in states {
        for (endpoint, ids) in [(&endpoint, &mut gone), (&other, &mut stays)] {
            let fanout = fanout(endpoint, at, "{}", state);
            ids.push(fanout.deliveries[0].id);
            store_as_they_are(&*store, &[fanout]).await?;
        }
    }
    ensure!(store.delete_endpoint(&endpoint.tenant, endpoint.id).await?, "it is unknown");
    let cancelled = |state: DeliveryState| if state.is_final() { state } else { DeliveryState::Cancelled };
    ensure!(stand(&*store, &gone).await? == states.map(cancelled), "{:?}", stand(&*store, &gone).await?);
    ensure!(stand(&*store, &stays).await? == states, "{:?}", stand(&*store, &stays).await?);
    Ok(())
}

async fn stand(store: &dyn Store, ids: &[DeliveryId]) -> anyhow::Result<Vec<DeliveryState>> {
    let positions = store.positions(ids).await?;
    let state = |id: &DeliveryId| positions.iter().find(|position| position.id == *id).map(|position| position.state);
    Ok(ids.iter().filter_map(state).collect())
}
