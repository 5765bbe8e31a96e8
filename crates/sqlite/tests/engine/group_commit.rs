//! Whoever comes while a commit is under way shares the next one (rule 29), and one caller's failure is its own.

use std::time::Duration;

use anyhow::ensure;
use futures::future::join_all;
use tokio::time::Instant;
use whimbrel_core::contract::ContractName;
use whimbrel_core::event::TraceContext;
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::{ApiKey, Clock as _, Decision, Facts, Lane, Route, Source, StoreError, SystemClock};
use whimbrel_core::{DeliveryId, EndpointId, EventId, KeyId, TenantId};
use whimbrel_sqlite::Options;
use whimbrel_testkit::wait;

use crate::common::{PATIENCE, endpoint, look_into, numbered, take, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn rule_29_concurrent_publishes_share_commits() -> anyhow::Result<()> {
    const PUBLISHES: usize = 500;
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let publishes = (0..PUBLISHES).map(|number| {
        let publisher = queue.publisher();
        async move { publisher.publish(numbered(&Route::Jobs(Lane::Live), number, 1)).await }
    });
    for published in join_all(publishes).await {
        published?;
    }
    let (commits, jobs) = (engine.tally().commits(), engine.tally().jobs());
    ensure!(jobs == PUBLISHES as u64, "{jobs} jobs");
    ensure!(commits <= 50, "{commits} commits for {PUBLISHES} concurrent publishes");
    let depths = queue.depths().await?;
    ensure!(depths.iter().any(|row| row.name == "jobs.live" && row.ready == PUBLISHES as u64), "{depths:?}");
    Ok(())
}

/// Nobody waits for an ack, so it waits for others; none is forgotten, neither by and by nor when the engine is closed.
#[tokio::test]
async fn acks_one_by_one_share_commits() -> anyhow::Result<()> {
    const MESSAGES: usize = 40;
    let (dir, engine) = crate::common::open(Options::default()).await?;
    let queue = engine.queue();
    let source = Source::Jobs(Lane::Live);
    queue.publisher().publish(numbered(&Route::Jobs(Lane::Live), 0, MESSAGES + 1)).await?;
    let mut consumer = queue.consume(source, 100).await?;
    let acker = consumer.acker();
    let received = take(&mut *consumer, MESSAGES + 1).await?;
    let (begun, before) = (Instant::now(), engine.tally().commits());
    for message in &received[..MESSAGES] {
        acker.ack(&[message.tag]).await?;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (took, commits) = (begun.elapsed(), engine.tally().commits() - before);
    let periods = took.as_millis() / 20 + 1;
    ensure!(u128::from(commits) <= periods, "{commits} commits within {took:?}");
    let left = async || -> anyhow::Result<i64> {
        let mut db = look_into(dir.path()).await?;
        Ok(sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut db).await?)
    };
    wait::until("the acks are written", PATIENCE, async || (left().await.ok()? == 1).then_some(())).await?;

    acker.ack(&[received[MESSAGES].tag]).await?;
    drop((acker, consumer, queue));
    crate::common::close(engine).await;
    ensure!(left().await? == 0, "an ack was forgotten");
    Ok(())
}

fn key(hash: u8) -> ApiKey {
    let id = KeyId::generate(SystemClock.now(), SystemClock.random10());
    ApiKey {
        id,
        tenant: None,
        name: String::new(),
        hash: [hash; 32],
        created_at: SystemClock.now(),
        expires_at: None,
        last_used_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_fails_does_not_undo_the_others() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    store.create_key(&key(0)).await?;
    let hashes: Vec<u8> = (0..100).map(|number| if number % 3 == 0 { 0 } else { number }).collect();
    let before = engine.tally().commits();
    let created = join_all(hashes.iter().map(|hash| {
        let (store, key) = (store.clone(), key(*hash));
        async move { store.create_key(&key).await }
    }));
    for (hash, created) in hashes.iter().zip(created.await) {
        let refused = matches!(&created, Err(StoreError::Refused(_)));
        ensure!(refused == (*hash == 0), "the key with hash {hash} gave {created:?}");
    }
    ensure!(engine.tally().commits() - before <= 20, "they did not share commits");
    ensure!(store.keys(None).await?.len() == 1 + hashes.iter().filter(|hash| **hash != 0).count(), "keys are missing");
    ensure!(!*engine.queue().publisher().blocked().borrow(), "a refused statement blocked the queue");
    Ok(())
}

/// What a call did before it failed is undone, as far as that call goes.
#[tokio::test]
async fn a_failed_call_leaves_nothing() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let store = engine.store();
    store.create_tenant(&tenant("acme")?).await?;
    let endpoint = endpoint(&TenantId::try_new("nobody")?)?;
    let refused = store.create_endpoint(&endpoint, None).await;
    ensure!(matches!(refused, Err(StoreError::Refused(_))), "an endpoint of no tenant gave {refused:?}");
    ensure!(store.endpoints(&[endpoint.id]).await?.is_empty(), "it was stored all the same");
    Ok(())
}

fn outcome() -> Outcome {
    let (event, endpoint) =
        (EventId::generate(SystemClock.now(), [1; 10]), EndpointId::generate(SystemClock.now(), [2; 10]));
    Outcome {
        delivery: DeliveryId::of(event, endpoint),
        event,
        endpoint,
        round: 1,
        attempt: 1,
        contract: ContractName::try_new("standard").expect("a contract's name"),
        trace: TraceContext::default(),
        fate: Fate::Deferred,
    }
}

/// A caller that leaves while it waits for its turn or for the commit spoils nothing.
#[tokio::test(flavor = "multi_thread")]
async fn cancelled_callers_spoil_nothing() -> anyhow::Result<()> {
    let (_dir, engine) = crate::common::open(Options::default()).await?;
    let (store, queue) = (engine.store(), engine.queue());
    for number in 0..200_u64 {
        let tenant = tenant(&format!("t{number}"))?;
        let (store, publisher) = (store.clone(), queue.publisher());
        let all = async {
            let created = store.create_tenant(&tenant).await;
            let published = publisher.publish(numbered(&Route::Outcomes, 0, 1)).await;
            let settled = store.settle(&[outcome()], &|_: &Facts| Decision::default()).await;
            (created, published, settled)
        };
        let patience = Duration::from_micros(number * 5);
        // Cancelled or not: either is fine.
        let _ = tokio::time::timeout(patience, all).await;
    }
    ensure!(store.create_tenant(&tenant("last")?).await?, "the writer did not go on");
    Ok(())
}
