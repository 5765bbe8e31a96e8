//! Forty days of traffic in a minute or two: with retention the tables stop growing, and dropping a day holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whimbrel_core::endpoint::Endpoint;
use whimbrel_core::port::Upkeep as _;
use whimbrel_core::{Timestamp, port::Ledger as _};
use whimbrel_postgres::PostgresStore;
use whimbrel_testkit::postgres::psql;

use crate::place::{Place, place};
use crate::setting::{DAY, delivery, endpoint, now, success};

const DAYS: u32 = 40;
const KEPT: u32 = 30;

/// How many events a day: a tenth of what was measured by hand, so that the suite stays quick.
fn events_a_day() -> u32 {
    std::env::var("WHIMBREL_EVENTS_A_DAY").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// One day's events with a delivery and an attempt each, as the store writes them.
async fn fill(place: &Place, endpoint: &Endpoint, day: Timestamp) -> Result<()> {
    let sql = format!(
        "SELECT whimbrel_ensure_partitions(to_timestamp({start})::date, to_timestamp({start})::date);
         CREATE TEMP TABLE ids AS
             SELECT (lpad(to_hex({start}::bigint * 1000 + n::bigint * 80000000 / {events}), 12, '0')
                     || substr(md5(n::text), 1, 20))::uuid AS id, n FROM generate_series(1, {events}) AS n;
         INSERT INTO events SELECT id, 'default', 'order.created', to_timestamp({start}),
             convert_to('{{\"data\":\"' || repeat('x', 200) || '\"}}', 'UTF8'), 8, 210, '', '' FROM ids;
         INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event_type, state, state_at, round, first_attempt,
                                 attempt, attempts, status_code)
             SELECT id, id, '{endpoint}', 'default', 'order.created', 'succeeded', to_timestamp({start}), 1, 1, 1, 1, 200
             FROM ids;
         INSERT INTO attempts SELECT id, 1, 1, id, to_timestamp({start}), 12, 200, NULL, 'thanks' FROM ids",
        start = day.as_secs(),
        events = events_a_day(),
        endpoint = endpoint.id.uuid(),
    );
    psql(place.database.url(), &sql).await.map(drop)
}

/// Bytes of the three tables with their indexes, all days together.
async fn bytes(place: &Place) -> Result<u64> {
    let sql =
        "SELECT sum(pg_total_relation_size(relid)) FROM (VALUES ('events'), ('deliveries'), ('attempts')) AS t (n),
               LATERAL pg_partition_tree(n::regclass) WHERE isleaf";
    psql(place.database.url(), sql).await?.parse().context("a number of bytes")
}

/// Events of today, accepted and settled until told to stop; gives the longest that one took.
async fn write(store: Arc<PostgresStore>, endpoint: Endpoint, stop: CancellationToken) -> Result<(u32, Duration)> {
    let (mut written, mut longest) = (0, Duration::ZERO);
    while !stop.is_cancelled() {
        let begun = Instant::now();
        let delivery = delivery(&store, &endpoint, now()).await?;
        store.settle(&[success(&delivery)?], &|_| whimbrel_core::port::Decision::default()).await?;
        longest = longest.max(begun.elapsed());
        written += 1;
    }
    Ok((written, longest))
}

/// Once a day is as old as the retention, each new day takes the place of one that goes.
#[tokio::test]
async fn rule_27_forty_days_with_retention_stay_flat() -> Result<()> {
    let place = place().await?;
    let endpoint = endpoint(&place.store).await?;
    let stop = CancellationToken::new();
    let writer = tokio::spawn(write(place.store.clone(), endpoint.clone(), stop.clone()));
    let midnight = Timestamp::from_secs(now().as_secs() / 86_400 * 86_400);
    let (mut sizes, mut drops) = (Vec::new(), Vec::new());
    for day in 1..=DAYS {
        // The fortieth is yesterday; the writer's is today.
        let start = midnight.before(DAY * (DAYS - day + 1));
        fill(&place, &endpoint, start).await?;
        let before = start.before(DAY * (KEPT - 1));
        place.store.expire(before, now(), 1_000).await?;
        loop {
            let begun = Instant::now();
            let pruned = place.store.prune(before, now()).await?;
            if pruned.removed > 0 {
                drops.push(begun.elapsed());
            }
            if !pruned.more {
                break;
            }
        }
        sizes.push(bytes(&place).await?);
    }
    stop.cancel();
    let (written, longest) = writer.await??;
    let kept = usize::try_from(KEPT)?;
    let (full, last) = (sizes[kept - 1], sizes[sizes.len() - 1]);
    println!(
        "{} events a day: {} MiB after {KEPT} days, {} MiB after {DAYS}; {} days dropped in at most {:?}; {written} events written meanwhile, each within {longest:?}",
        events_a_day(),
        full >> 20,
        last >> 20,
        drops.len(),
        drops.iter().max().copied().unwrap_or_default()
    );
    ensure!(drops.len() == usize::try_from(DAYS - KEPT)?, "{} days were dropped", drops.len());
    // What the writer adds meanwhile is a little, not a day.
    ensure!(last < full + full / 20 + 2 * full / u64::from(KEPT), "{full} bytes grew to {last}");
    ensure!(written > 0, "nobody wrote");
    Ok(())
}
