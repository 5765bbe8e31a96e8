//! Waiting for a condition, with a limit.

use std::future::Future;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Asks `probe` until it answers `Some`, and gives that answer.
///
/// For conditions in another process, which cannot wake the test; `what` completes "timed out waiting until …".
/// The probe is asked at least once, and its pauses grow from 10 ms to 250 ms.
///
/// # Errors
/// When `timeout` has passed, counted also within a probe that does not return.
pub async fn until<T, F, Fut>(what: &str, timeout: Duration, mut probe: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Ok(Some(found)) = tokio::time::timeout_at(deadline, probe()).await {
            return Ok(found);
        }
        if Instant::now() + pause >= deadline {
            bail!("timed out after {timeout:?} waiting until {what}");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The time since the Unix epoch by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the receiver compares signed timestamps with real time")]
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("no machine's clock stands before 1970")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn gives_what_the_probe_finds() {
        let asked = Cell::new(0);
        let found = until("the third probe", Duration::from_secs(5), || async {
            asked.set(asked.get() + 1);
            (asked.get() == 3).then(|| asked.get())
        });
        assert_eq!(found.await.expect("found"), 3);
    }

    #[tokio::test]
    async fn says_what_it_waited_for() {
        let never = until("pigs fly", Duration::from_millis(30), || async { None::<()> });
        let error = never.await.expect_err("times out").to_string();
        assert!(error.ends_with("waiting until pigs fly"), "{error}");
    }

    #[tokio::test]
    async fn a_probe_that_hangs_is_cut_off() {
        let hangs = until("it returns", Duration::from_millis(30), std::future::pending::<Option<()>>);
        assert!(hangs.await.is_err());
    }
}
