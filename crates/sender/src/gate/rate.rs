//! POSTs a second: a bucket that holds one second's worth of tokens.

use std::time::Duration;

use tokio::time::Instant;

/// How long an idle endpoint gathers tokens.
const BURST: Duration = Duration::from_secs(1);

/// A token bucket, kept as the time at which it will be full again.
#[derive(Default)]
pub(super) struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes a token at `rate` a second and says when it is there; `None`, and none is taken, when that is after
    /// `give_up`. Whoever asks first is served first.
    pub(super) fn take(&mut self, rate: u32, now: Instant, give_up: Instant) -> Option<Instant> {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + BURST / rate.max(1);
        let start = now + full_at.duration_since(now).saturating_sub(BURST);
        if start > give_up {
            return None;
        }
        self.full_at = Some(full_at);
        Some(start)
    }

    /// Whether it is not full.
    pub(super) fn is_used(&self, now: Instant) -> bool {
        self.full_at.is_some_and(|full_at| full_at > now)
    }
}
