//! Ingest's copies of tenants, and a store that goes away while it answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use whimbrel_core::contract::ContractSet;
use whimbrel_core::message::decode_jobs;
use whimbrel_core::parking::Selection;
use whimbrel_core::port::{Consumer, Lane, Source};
use whimbrel_core::tier::Tiers;
use whimbrel_core::{EndpointId, EventId, TenantId};
use whimbrel_testkit::proxy::FaultProxy;
use whimbrel_testkit::wait;

use crate::harness::{Kind, Roles, SOON, on_both_engines, publish, publish_of_type, subscribe_to};

async fn open(kind: Kind) -> Result<Roles> {
    let contracts = Arc::new(ContractSet::built_in());
    let tiers = Arc::new(Tiers::new(contracts.distinct_delays()));
    Roles::open(kind, contracts, tiers).await
}

async fn subscribe(roles: &Roles, events: &str) -> Result<EndpointId> {
    subscribe_to(roles, "standard", "https://example.com/hooks".into(), None, events).await
}

/// Who gets this event, which is the next one to have jobs.
async fn endpoints_of(event: EventId, jobs: &mut dyn Consumer) -> Result<BTreeSet<EndpointId>> {
    let received = timeout(SOON, jobs.receive(1)).await??;
    jobs.acker().ack(&[received[0].tag]).await?;
    let jobs = decode_jobs(received[0].payload.clone())?;
    ensure!(jobs.iter().all(|job| job.body.event == event), "{jobs:?} are not of {event}");
    Ok(jobs.iter().map(|job| job.endpoint).collect())
}

on_both_engines! {
    /// Whatever ingest knows of the tenant, the next event finds it as it is: with a new endpoint, without one that is
    /// gone, heard by someone when nobody heard it before, and with nothing when the tenant is gone.
    async fn an_event_meets_its_tenant_as_it_is(kind: Kind) {
        let roles = open(kind).await?;
        let stop = CancellationToken::new();
        let first = subscribe(&roles, "*").await?;
        roles.start_ingest(&stop);
        let mut jobs = roles.queue.consume(Source::Jobs(Lane::Live), 1).await?;
        for _ in 0..2 {
            let event = publish(&*roles.queue).await?;
            assert_eq!(endpoints_of(event, &mut *jobs).await?, [first].into());
        }
        let second = subscribe(&roles, "order.*").await?;
        let event = publish(&*roles.queue).await?;
        assert_eq!(endpoints_of(event, &mut *jobs).await?, [first, second].into());
        roles.store.delete_endpoint(&TenantId::default(), first).await?;
        let event = publish(&*roles.queue).await?;
        assert_eq!(endpoints_of(event, &mut *jobs).await?, [second].into());

        publish_of_type(&*roles.queue, "endpoint.suspended").await?;
        let event = publish(&*roles.queue).await?;
        assert_eq!(endpoints_of(event, &mut *jobs).await?, [second].into(), "nobody has heard the one before");
        let third = subscribe(&roles, "endpoint.*").await?;
        let event = publish_of_type(&*roles.queue, "endpoint.suspended").await?;
        assert_eq!(endpoints_of(event, &mut *jobs).await?, [third].into());

        roles.store.delete_tenant(&TenantId::default()).await?;
        let event = publish(&*roles.queue).await?;
        wait::until("the event is parked", SOON, || async {
            let (parked, _) = roles.parking.list(&Selection::default(), 10).await.ok()?;
            (parked.len() == 1 && parked[0].reason.starts_with("unknown_tenant")).then_some(())
        })
        .await?;
        assert!(roles.store.event(&TenantId::default(), event).await?.is_none(), "it was stored for a tenant that is gone");
        stop.cancel();
    }
}

/// The database stores an event, and the connection breaks before it says so: the jobs are published when it is asked
/// again, not minutes later by the sweep.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_stored_without_an_answer_is_sent() -> Result<()> {
    let roles = open(Kind::Distributed).await?;
    let stop = CancellationToken::new();
    let endpoint = subscribe(&roles, "*").await?;
    let proxy = FaultProxy::before(roles.database_url()?).await?;
    roles.start_ingest_on(roles.store_through(&proxy).await?, &stop);
    let mut jobs = roles.queue.consume(Source::Jobs(Lane::Live), 1).await?;
    let event = publish(&*roles.queue).await?;
    assert_eq!(endpoints_of(event, &mut *jobs).await?, [endpoint].into());

    proxy.delay(Duration::from_secs(1));
    let event = publish(&*roles.queue).await?;
    wait::until("the event is stored", SOON, || async {
        roles.store.event(&TenantId::default(), event).await.ok()?.map(drop)
    })
    .await?;
    proxy.cut();
    proxy.pass();
    assert_eq!(endpoints_of(event, &mut *jobs).await?, [endpoint].into());
    stop.cancel();
    Ok(())
}
