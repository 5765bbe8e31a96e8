//! Several consumers of one source.

use anyhow::ensure;
use whimbrel_core::port::{Lane, Route, Source};

use super::support::{nothing_comes, numbered, numbers, set, take};
use super::{Checked, Fixture};

const JOBS: Source = Source::Jobs(Lane::Bulk);

/// Two consumers with prefetch 10 hold twenty messages between them, each held by one.
pub async fn competing_consumers_share(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut one = queue.consume(JOBS, 10).await?;
    let mut other = queue.consume(JOBS, 10).await?;
    queue.publisher().publish(numbered(&Route::Jobs(Lane::Bulk), 20)).await?;
    let (ones, others) = tokio::try_join!(take(&mut *one, 10), take(&mut *other, 10))?;
    ensure!(set(&ones).is_disjoint(&set(&others)), "a message was held twice: {:?} {:?}", set(&ones), set(&others));
    ensure!(&set(&ones) | &set(&others) == numbers(20).into_iter().collect(), "not all of them came");
    Ok(())
}

/// What a consumer had not acked when it was dropped comes again, to whoever is left, and says so; what it
/// had acked does not.
pub async fn a_dropped_consumers_messages_go_to_another(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut first = queue.consume(JOBS, 10).await?;
    queue.publisher().publish(numbered(&Route::Jobs(Lane::Bulk), 3)).await?;
    let received = take(&mut *first, 3).await?;
    ensure!(received.iter().all(|message| message.redeliveries == 0), "redelivered at the first time");
    let mut second = queue.consume(JOBS, 10).await?;
    nothing_comes(&mut *second).await?;
    first.acker().ack(&[received[1].tag]).await?;
    drop(first);

    let again = take(&mut *second, 2).await?;
    ensure!(set(&again) == set(&[received[0].clone(), received[2].clone()]), "{:?} came again", set(&again));
    ensure!(again.iter().all(|message| message.redeliveries >= 1), "redeliveries were not counted");
    nothing_comes(&mut *second).await
}
