//! `Log::stats`: an endpoint's figures.

use std::time::Duration;

use anyhow::ensure;
use whimbrel_core::delivery::DeliveryState;
use whimbrel_core::outcome::{Fate, Outcome};
use whimbrel_core::port::EndpointStats;

use super::world::nothing;
use super::{Checked, World};

fn lasting(mut outcome: Outcome, millis: u64) -> Outcome {
    if let Fate::Attempted(attempted) = &mut outcome.fate {
        attempted.duration = Duration::from_millis(millis);
    }
    outcome
}

/// By the words of their states, with their attempts, of events from one time (inclusive) to another (exclusive).
pub async fn stats_count_deliveries_and_attempts(world: &World) -> Checked {
    let (acme, endpoint) = world.acme().await?;
    let other = world.endpoint(&acme).await?;
    let early = world.fail(&world.delivery(&endpoint).await?).await?;
    world.succeed(&world.delivery(&endpoint).await?).await?;
    let twice = world.retry_later(&world.delivery(&endpoint).await?).await?;
    world.succeed(&twice).await?;
    world.fail(&world.delivery(&endpoint).await?).await?;
    world.delivery_in(&endpoint, DeliveryState::Held).await?;
    world.delivery(&endpoint).await?;
    world.fail(&world.delivery(&other).await?).await?;
    let late = world.succeed(&world.delivery(&endpoint).await?).await?;

    let (since, until) = (early.id.created_at() + Duration::from_millis(1), late.id.created_at());
    let stats = figures(world, &endpoint, since, until).await?;
    let counts = [("failed", 1), ("held", 1), ("pending", 1), ("succeeded", 2)];
    ensure!(stats.deliveries == counts.map(|(word, count)| (word.to_owned(), count)), "{stats:?}");
    ensure!(stats.attempts == 4 && stats.failed_attempts == 2, "{stats:?}");

    let all = figures(world, &endpoint, early.id.created_at(), until + Duration::from_millis(1)).await?;
    let counts = [("failed", 2), ("held", 1), ("pending", 1), ("succeeded", 3)];
    ensure!(all.deliveries == counts.map(|(word, count)| (word.to_owned(), count)), "{all:?}");
    ensure!(all.attempts == 6 && all.failed_attempts == 3, "{all:?}");
    let none = figures(world, &endpoint, until + Duration::from_hours(1), until + Duration::from_hours(2)).await?;
    ensure!(none == EndpointStats::default(), "{none:?} of no event");
    Ok(())
}

async fn figures(
    world: &World,
    endpoint: &whimbrel_core::endpoint::Endpoint,
    since: whimbrel_core::Timestamp,
    until: whimbrel_core::Timestamp,
) -> anyhow::Result<EndpointStats> {
    let mut stats = world.store.stats(endpoint.id, since, until).await?;
    stats.deliveries.sort();
    Ok(stats)
}

/// Of successful attempts only: 21 of 10 ms to 210 ms have their median at 110 ms and their 95th percentile at 200 ms,
/// however one counts. Without any there is none.
pub async fn stats_show_how_long_successes_took(world: &World) -> Checked {
    let (_, endpoint) = world.acme().await?;
    let since = world.now();
    let delivery = world.delivery(&endpoint).await?;
    let slow: Vec<_> = (1..=3).map(|attempt| lasting(world.failure(&delivery, attempt), 30_000)).collect();
    world.store.settle(&slow, &nothing).await?;
    let stats = world.store.stats(endpoint.id, since, world.now()).await?;
    ensure!(stats.failed_attempts == 3 && stats.p50_ms.is_none() && stats.p95_ms.is_none(), "{stats:?}");

    for place in 0..21 {
        let delivery = world.delivery(&endpoint).await?;
        let outcome = lasting(world.success(&delivery, 1), (place * 8 % 21 + 1) * 10);
        world.store.settle(&[outcome], &nothing).await?;
    }
    let stats = world.store.stats(endpoint.id, since, world.now()).await?;
    ensure!(stats.p50_ms == Some(110) && stats.p95_ms == Some(200), "{stats:?}");
    ensure!(stats.attempts == 24 && stats.failed_attempts == 3, "{stats:?}");
    Ok(())
}
