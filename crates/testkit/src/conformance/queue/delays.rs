//! Delay tiers.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;
use whimbrel_core::port::{Lane, Route, Source};
use whimbrel_core::tier::{HOPS, Tier};

use super::support::{nothing_comes, publish, take, take_and_ack, text};
use super::{Checked, Fixture};

/// How late a message may leave its tier on a busy machine.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Engines count whole milliseconds.
const GRAIN: Duration = Duration::from_millis(1);

/// A message leaves its tier not before its time and within a second of it, in the lane it went in by.
pub async fn a_tiers_delay_is_kept(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut consumer = queue.consume(Source::Jobs(Lane::Slow), 10).await?;
    let before = Instant::now();
    publish(&*queue.publisher(), Route::Delay(Tier::new(HOPS[0]), Lane::Slow), "delayed").await?;
    let confirmed = Instant::now();
    let received = take_and_ack(&mut *consumer).await?;
    ensure!(text(&received) == "delayed", "`{}`", text(&received));
    ensure!(before.elapsed() + GRAIN >= HOPS[0], "it came after {:?} already", before.elapsed());
    ensure!(confirmed.elapsed() <= HOPS[0] + LATE_MAX, "it came only after {:?}", confirmed.elapsed());
    Ok(())
}

/// Messages of two lanes in one tier come out each in its own, and payload and id are what they were.
pub async fn two_lanes_share_a_tier(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut slow = queue.consume(Source::Jobs(Lane::Slow), 10).await?;
    let mut bulk = queue.consume(Source::Jobs(Lane::Bulk), 10).await?;
    let tier = Tier::new(HOPS[0]);
    let sent = [
        super::support::message(Route::Delay(tier, Lane::Slow), "slow"),
        super::support::message(Route::Delay(tier, Lane::Bulk), "bulk"),
    ];
    queue.publisher().publish(sent.to_vec()).await?;
    for (consumer, sent) in [&mut slow, &mut bulk].into_iter().zip(&sent) {
        let received = take(&mut **consumer, 1).await?.remove(0);
        ensure!(received.payload == sent.payload, "`{}` came out where {:?} was due", text(&received), sent.payload);
        ensure!(received.message_id == sent.id.to_string(), "the id became {}", received.message_id);
        ensure!(received.redeliveries == 0, "a delay counts as a redelivery");
    }
    nothing_comes(&mut *slow).await?;
    nothing_comes(&mut *bulk).await
}
