//! Notices: for everyone who listens, kept for nobody.

use anyhow::ensure;
use whimbrel_core::port::{Route, Source};

use super::support::{publish, take, text};
use super::{Checked, Fixture};

fn changed() -> Route {
    Route::Notices("endpoint.changed".to_owned())
}

/// Every listener hears every notice, whatever its kind, more of them than it could hold unacked.
pub async fn notices_reach_every_listener(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let mut listeners = [queue.consume(Source::Notices, 4).await?, queue.consume(Source::Notices, 4).await?];
    let publisher = queue.publisher();
    for number in 0..20 {
        let kind = if number % 2 == 0 { "endpoint.changed" } else { "endpoint.suspended" };
        publish(&*publisher, Route::Notices(kind.to_owned()), &number.to_string()).await?;
    }
    for listener in &mut listeners {
        let mut heard: Vec<String> = Vec::new();
        while heard.len() < 20 {
            heard.push(text(&take(&mut **listener, 1).await?[0]));
        }
        ensure!(heard == super::support::numbers(20), "a listener heard {heard:?}");
    }
    Ok(())
}

/// A notice that nobody listened to is confirmed and forgotten.
pub async fn notices_are_not_kept(fixture: &impl Fixture) -> Checked {
    let queue = fixture.open().await?;
    let publisher = queue.publisher();
    publish(&*publisher, changed(), "unheard").await?;
    let mut listener = queue.consume(Source::Notices, 4).await?;
    publish(&*publisher, changed(), "heard").await?;
    let first = text(&take(&mut *listener, 1).await?[0]);
    ensure!(first == "heard", "the listener heard `{first}`, published before it came");
    Ok(())
}
