//! Watching the deliveries until they are final.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::screen::Screen;
use super::stage::Stage;
use super::tally::Followed;
use crate::cmd::listen::Seen;

/// How often the log is read.
const POLL: Duration = Duration::from_millis(250);

/// Shows each request as it comes; ends when the log has every delivery in a final state, or at the
/// deadline.
pub(super) async fn until_final(
    stage: &Stage,
    lines: &mut mpsc::Receiver<Seen>,
    screen: &Screen,
    deadline: Instant,
) -> anyhow::Result<Followed> {
    let mut followed = Followed::default();
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = sleep_until(deadline) => break,
            Some(seen) = lines.recv() => {
                followed.add(&seen);
                screen.request(&seen)?;
            }
            _ = poll.tick() => if followed.read(stage).await? { break },
        }
    }
    // A receiver reports before it answers, so what the log knows has been reported.
    while let Ok(seen) = lines.try_recv() {
        followed.add(&seen);
        screen.request(&seen)?;
    }
    followed.read_retried(stage).await?;
    Ok(followed)
}
